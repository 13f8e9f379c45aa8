package jobs

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/redisconn"
)

const (
	// pendingLife is how long a job may wait: a record that no worker touches for so long is given
	// up.
	pendingLife = 7 * 24 * time.Hour
	// unconfirmedLife is how long a task without a record is given back before it is withdrawn, and
	// so the longest time for which Redis may be away between the two steps without a job being
	// lost.
	unconfirmedLife = 24 * time.Hour
	// withdrawnLife outlives every task that has no other record.
	withdrawnLife = unconfirmedLife + time.Hour
)

var (
	// ErrNotFound: there is no such job, or it has been forgotten.
	ErrNotFound = errors.New("no such job")
	// ErrNoResult: the job is not over, or ended without an answer from the backend.
	ErrNoResult = errors.New("the job has no result")
	// ErrSealed: the result is there, and cannot be opened with the keys at hand.
	ErrSealed = errors.New("the result cannot be opened")
)

// A Record is the state of a job.
type Record struct {
	ID        string
	Type      string // the route's name
	Queue     string // as in the policies
	Owner     string // the caller's ID; "" if anonymous: who holds the ID holds the job
	Status    Status
	Attempts  int       // requests that were sent, or are about to be
	Failures  int       // attempts that failed: the others were cut off, or one is under way
	MaxRetry  int       // attempts after the first failure
	Queued    time.Time // millisecond precision, like the next two
	Started   time.Time // first attempt; zero before it
	Finished  time.Time // zero until the job is final
	LastError string    // never a body or a secret
	HasResult bool      // the backend's response is kept
	Canceling bool      // somebody wants it canceled, and its worker has not ended it yet

	requestSum, resultSum string // digests of the stored request and result
	accepted, ended       string // MACs, see proof.go

	retention time.Duration // from the end of the job
	timeout   time.Duration // of one attempt
	caller    string        // who submitted it: Owner, but for links
	hold      string        // Redis key of the Idempotency-Key that leads here; "" if none
	request   []byte        // sealed
	runner    string        // of a new record: who has begun its first attempt
	kept      bool          // of a new record: a later request may lead to it

	unconfirmed bool // its submission may not have heard that it is there: nobody runs it yet
}

// public are the fields of a record that status needs, in the order in which parse takes them.
var public = []string{"type", "queue", "owner", "status", "attempts", "failures", "max_retry",
	"queued", "started", "finished", "error", "answered",
	"retention", "timeout", "hold", "request_sum", "result_sum", "accepted", "ended", "cancel",
	"caller", "unconfirmed"}

// private are those that only a worker needs, after the public ones.
var private = []string{"request"}

// parse reads the values of public and, if they are there, private. ok is false if there is no
// record.
func parse(id string, values []any) (r Record, ok bool) {
	text := func(i int) string {
		if i < len(values) {
			s, _ := values[i].(string)
			return s
		}
		return ""
	}
	number := func(i int) int64 {
		n, _ := strconv.ParseInt(text(i), 10, 64) // absent: 0
		return n
	}
	at := func(i int) time.Time {
		if ms := number(i); ms != 0 {
			return time.UnixMilli(ms).UTC()
		}
		return time.Time{}
	}
	r = Record{
		ID: id, Type: text(0), Queue: text(1), Owner: text(2), Status: Status(text(3)),
		Attempts: int(number(4)), Failures: int(number(5)), MaxRetry: int(number(6)),
		Queued: at(7), Started: at(8), Finished: at(9), LastError: text(10),
		HasResult: number(11) != 0,
		retention: time.Duration(number(12)) * time.Millisecond,
		timeout:   time.Duration(number(13)) * time.Millisecond,
		hold:      text(14), requestSum: text(15), resultSum: text(16),
		accepted: text(17), ended: text(18),
		Canceling: text(19) != "",
		caller:    text(20),
		request:   []byte(text(22)),

		unconfirmed: text(21) != "",
	}
	return r, r.Status != ""
}

// waits is how long the record of a job that is not final is kept after it was touched.
func (r Record) waits() time.Duration { return max(pendingLife, r.retention+time.Hour) }

// fields are those of a new record, as createScript takes them.
func (r Record) fields() []any {
	fields := []any{
		"type", r.Type, "queue", r.Queue, "owner", r.Owner, "status", string(r.Status),
		"attempts", r.Attempts, "max_retry", r.MaxRetry, "queued", r.Queued.UnixMilli(),
		"retention", r.retention.Milliseconds(), "timeout", r.timeout.Milliseconds(), "hold",
		r.hold, "request", r.request,
		"request_sum", r.requestSum, "accepted", r.accepted, "caller", r.caller,
	}
	if r.runner != "" { // its first attempt begins with it
		fields = append(fields, "runner", r.runner, "started", r.Started.UnixMilli())
	}
	if r.unconfirmed {
		fields = append(fields, "unconfirmed", 0)
	}
	return fields
}

// Job returns the record of a job. It gives ErrNotFound, or the error of Redis.
func (j *Jobs) Job(ctx context.Context, b *redisconn.Budget, id string) (Record, error) {
	return j.load(ctx, b, id, public)
}

func (j *Jobs) load(ctx context.Context, b *redisconn.Budget, id string,
	fields []string) (Record, error) {
	r, err := j.peek(ctx, b, id, fields)
	if err == nil && r.Status == withdrawn {
		err = ErrNotFound
	}
	return r, err
}

// peek is load for those who want to know of a withdrawal too.
func (j *Jobs) peek(ctx context.Context, b *redisconn.Budget, id string,
	fields []string) (Record, error) {
	if !ValidID(id) {
		return Record{}, ErrNotFound
	}
	var values []any
	err := j.Redis.Do(ctx, b, "job",
		func(ctx context.Context, c redis.UniversalClient) (err error) {
			values, err = c.HMGet(ctx, j.Names.Job(id), fields...).Result()
			return err
		})
	if err != nil {
		return Record{}, err
	}
	r, ok := parse(id, values)
	if !ok || !j.isOurs(r) {
		return r, ErrNotFound
	}
	return r, nil
}

// Result returns the backend's own response. It gives ErrNotFound, ErrNoResult, ErrSealed, or the
// error of Redis.
func (j *Jobs) Result(ctx context.Context, b *redisconn.Budget, r Record) (*Response, error) {
	if !r.HasResult {
		return nil, ErrNoResult
	}
	var stored []byte
	err := j.Redis.Do(ctx, b, "job-result",
		func(ctx context.Context, c redis.UniversalClient) (err error) {
			stored, err = c.HGet(ctx, j.Names.Job(r.ID), "result").Bytes()
			if errors.Is(err, redis.Nil) { // forgotten since the record was read
				stored, err = nil, nil
			}
			return err
		})
	switch {
	case err != nil:
		return nil, err
	case stored == nil:
		return nil, ErrNotFound
	case sumOf(stored) != r.resultSum:
		return nil, errors.Join(ErrSealed, errForged)
	}
	value, err := j.unseal("result", r, stored)
	if err != nil {
		return nil, errors.Join(ErrSealed, err)
	}
	return decodeResponse(value)
}

// unseal opens a stored value whose digest the record has. One from before the first sealing key is
// taken where nobody but sidecars could have made the record's MAC.
func (j *Jobs) unseal(purpose string, r Record, stored []byte) ([]byte, error) {
	value, err := j.Sealer.open(j.binding(purpose, r.ID, r.Owner), stored)
	if errors.Is(err, errUnsealed) && j.OwnSecret {
		return stored[1:], nil
	}
	return value, err
}

func (j *Jobs) binding(purpose, id, owner string) binding {
	return binding{purpose: purpose, prefix: j.Prefix, id: id, owner: owner}
}
