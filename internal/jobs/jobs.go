package jobs

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
	"sidecar/internal/redisconn"
	"sidecar/policy"
)

// Redis is the connection to the job store.
type Redis interface {
	// Do calls f with a client and a context that ends with the rest of b, or with ctx where b is
	// nil. It returns f's error, or one of its own without having called f.
	Do(ctx context.Context, b *redisconn.Budget, op string, f func(context.Context, redis.UniversalClient) error) error
	// Client is the client itself, for asynq.
	Client() redis.UniversalClient
}

// A Backend sends a captured request to the API.
type Backend interface {
	// Replay sends in, a request as a server received it, and returns the answer. It follows no
	// redirect.
	Replay(ctx context.Context, in *http.Request) (*http.Response, error)
}

// An Invalidator drops the entries that a job may have changed.
type Invalidator interface {
	// Changed drops the entries that carry one of the tags. On an error it remembers the tags, and
	// goes on trying by itself.
	Changed(ctx context.Context, tags []cachekeys.Tag) error
}

// Options of Jobs. Fields without a default are required for workers; Submit, Job and Result need
// only Redis, Names and Prefix.
type Options struct {
	Redis  Redis
	Names  cachekeys.Names
	Prefix string  // REDIS_KEY_PREFIX
	Sealer *Sealer // nil: nothing is sealed
	// Secret is the key of the MACs of tasks and records; nil while it is not known. The field may
	// be nil in tests: an empty key.
	Secret func() []byte

	// Plan matches by the policies in force. It is asked for the time at which the request came, so
	// that a token which held then still names its claims.
	Plan        func(httpfield.Request, time.Time) *policy.Plan
	Backend     Backend
	Unsent      func(error) bool // the error means that nothing was sent; nil: none does
	Invalidator Invalidator

	Queues         map[string]int // as in the policies, with their weights
	Concurrency    int            // attempts at once in this process; 0: none, only enqueue
	MaxInspectBody int64          // bytes of a body that are looked at to fill templates; 0: 1 MiB
	DrainTimeout   time.Duration  // how long running attempts may go on when the workers end; 0: 20s
	RetryBase      time.Duration  // before the first retry; 0: 1s

	Queued    func(jobType, queue string)          // a job was accepted; nil: nobody counts
	Processed func(jobType string, outcome Status) // an attempt came out: Succeeded, Failed or Retrying; nil: nobody counts
	Log       *slog.Logger                         // nil: slog.Default
}

// Jobs is the queue. It is safe for concurrent use.
type Jobs struct {
	Options
	queue   queueNames
	client  *asynq.Client
	mender  *mender
	gate    gate
	unknown stranded       // routes
	foreign stranded       // tasks
	running sync.WaitGroup // attempts
}

// New returns the queue and waits for nothing: Redis may be away. The caller runs RunMending, and
// RunWorkers if Concurrency is over 0.
func New(o Options) (*Jobs, error) {
	switch {
	case o.Redis == nil:
		return nil, errors.New("jobs: no Redis")
	case o.Prefix == "":
		return nil, errors.New("jobs: no prefix")
	case o.Concurrency > 0 && (o.Plan == nil || o.Backend == nil || o.Invalidator == nil || len(o.Queues) == 0):
		return nil, errors.New("jobs: workers need Plan, Backend, Invalidator and Queues")
	}
	if o.MaxInspectBody == 0 {
		o.MaxInspectBody = 1 << 20
	}
	if o.DrainTimeout == 0 {
		o.DrainTimeout = 20 * time.Second
	}
	if o.RetryBase == 0 {
		o.RetryBase = time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Secret == nil {
		o.Secret = func() []byte { return []byte{} }
	}
	if o.Unsent == nil {
		o.Unsent = func(error) bool { return false }
	}
	if o.Queued == nil {
		o.Queued = func(string, string) {}
	}
	if o.Processed == nil {
		o.Processed = func(string, Status) {}
	}
	return &Jobs{
		Options: o,
		queue:   queueNames{prefix: o.Prefix},
		client:  asynq.NewClientFromRedisClient(traced{o.Redis.Client()}),
		mender:  newMender(o.Log),
	}, nil
}
