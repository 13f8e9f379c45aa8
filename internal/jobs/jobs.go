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
	"sidecar/internal/lease"
	"sidecar/internal/redisconn"
	"sidecar/internal/tracing"
	"sidecar/policy"
)

// Redis is the connection to the job store.
type Redis interface {
	// Do calls f with a client and a context that ends with the rest of b, or with ctx where b is
	// nil. It returns f's error, or one of its own without having called f.
	Do(ctx context.Context, b *redisconn.Budget, op string,
		f func(context.Context, redis.UniversalClient) error) error
	// Client is the client itself, for asynq and subscriptions.
	Client() redis.UniversalClient
	// State is that of the breaker: unless it is Closed, Do fails at once.
	State() redisconn.State
}

// direct goes past the breaker.
type direct struct{ Redis }

// Do implements Redis.
func (d direct) Do(ctx context.Context, _ *redisconn.Budget, _ string,
	f func(context.Context, redis.UniversalClient) error) error {
	return f(ctx, d.Client())
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
	// OwnSecret says that the operator has set the key: it is not in the job store, and nobody who
	// writes there can make a MAC.
	OwnSecret bool

	// Plan matches by the policies in force. It is asked for the time at which the request came, so
	// that a token which held then still names its claims.
	Plan        func(httpfield.Request, time.Time) *policy.Plan
	Backend     Backend
	Unsent      func(error) bool // the error means that nothing was sent; nil: none does
	Invalidator Invalidator

	Schedules func() []*policy.Schedule // in force; nil: none
	Limited   func() []string           // routes in force that bound the jobs that run; nil: none
	Leases    *lease.Leases             // in the job store; nil: this sidecar never runs schedules

	Queues         map[string]int // as in the policies, with their weights
	Concurrency    int            // attempts at once in this process; 0: none, only enqueue
	MaxInspectBody int64          // bytes of a body that are looked at to fill templates; 0: 1 MiB
	// how long running attempts may go on when the workers end; 0: 20s
	DrainTimeout time.Duration
	EndTimeout   time.Duration // for Run, at its end, to make promised jobs certain; 0: 1s
	RetryBase    time.Duration // before the first retry; 0: 1s
	CutOffGrace  time.Duration // before a job runs again that was cut off once; 0: 5s

	Queued func(jobType, queue string) // a job was accepted; nil: nobody counts
	// Processed is told of each attempt that came out, and of each canceled job; nil: nobody
	// counts.
	Processed func(jobType string, outcome Status)
	// Begun is told how long a job waited for its first attempt by a worker; nil: nobody counts.
	Begun func(jobType string, waited time.Duration)
	// Attempted is told of each attempt: its result, a class of statuses or a word of package jobs,
	// and how long it took; nil: nobody counts.
	Attempted func(jobType, result string, took time.Duration)
	Tracer    *tracing.Tracer // of attempts; nil: there are no traces
	Log       *slog.Logger    // nil: slog.Default
}

// Jobs is the queue. It is safe for concurrent use.
type Jobs struct {
	Options
	queue    queueNames
	client   *asynq.Client
	mender   *mender
	gate     gate
	wakes    *wakes
	watchers watchers
	held     *held
	unheard  chan unheard
	unknown  stranded // routes
	keyless  stranded // routes whose jobs are sealed with a key that is not ours
	unsealed stranded // routes whose jobs are from before the first key
	foreign  stranded // tasks

	steps bool // a submission takes several scripts: in Cluster, where one has keys of one slot

	attempts context.Context // of all attempts: they are cut off when it is done
	cutOff   context.CancelFunc
	last     context.Context // of all that is to be recorded: nothing is when it is done
	endAll   context.CancelFunc
}

// New returns the queue and waits for nothing: Redis may be away. The caller calls Run and
// RunWorkers.
func New(o Options) (*Jobs, error) {
	switch {
	case o.Redis == nil:
		return nil, errors.New("jobs: no Redis")
	case o.Prefix == "":
		return nil, errors.New("jobs: no prefix")
	case o.Concurrency > 0 &&
		(o.Plan == nil || o.Backend == nil || o.Invalidator == nil || len(o.Queues) == 0):
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
	if o.EndTimeout == 0 {
		o.EndTimeout = time.Second
	}
	if o.CutOffGrace == 0 {
		o.CutOffGrace = 5 * time.Second
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
	if o.Limited == nil {
		o.Limited = func() []string { return nil }
	}
	if o.Begun == nil {
		o.Begun = func(string, time.Duration) {}
	}
	if o.Attempted == nil {
		o.Attempted = func(string, string, time.Duration) {}
	}
	j := &Jobs{
		Options: o,
		queue:   queueNames{prefix: o.Prefix},
		client:  asynq.NewClientFromRedisClient(traced{o.Redis.Client()}),
		mender:  newMender(o.Log),
		held:    newHeld(),
		unheard: make(chan unheard, maxConfirms),
	}
	_, j.steps = o.Redis.Client().(*redis.ClusterClient)
	names := make([]string, 0, len(o.Queues))
	for queue := range o.Queues {
		names = append(names, j.queue.asynq(queue))
	}
	j.wakes = newWakes(names)
	j.attempts, j.cutOff = context.WithCancel(context.Background())
	j.last, j.endAll = context.WithCancel(context.Background())
	return j, nil
}

// Run hears the news of other sidecars, confirms jobs, and repeats operations whose outcome is
// unknown, until ctx is done. It has to run as long as requests may be submitted or waited for.
func (j *Jobs) Run(ctx context.Context) {
	var listening sync.WaitGroup
	listening.Go(func() { j.listen(ctx) })
	mending, endMending := context.WithCancel(context.WithoutCancel(ctx))
	listening.Go(func() { j.confirmEach(ctx); endMending() }) // failures are mended
	j.mend(mending)
	listening.Wait()
}
