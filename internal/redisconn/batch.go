package redisconn

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Bounds of batches.
const (
	// freeReads is how many commands may be under way without sharing, while no batch has had more
	// than one read: at low load a read waits for no other one.
	freeReads = 2
	// maxReads bounds the commands under way where a batch is full, or the latest was sent
	// lateRead ago: one slow answer, or one broken connection, does not hold up all others.
	maxReads = 8
	lateRead = 10 * time.Millisecond
	// maxShare and maxKeys bound one batch, in reads and in keys; a read is never divided.
	maxShare, maxKeys = 64, 1024
	// maxWaiting bounds the reads that wait. One more goes by itself.
	maxWaiting = 4096
)

// errReply means that an answer has another length than its question.
var errReply = errors.New("redis: the answer belongs to another question")

// errLate tells the breaker that an answer came when most of those who had asked waited no longer.
var errLate = errors.New("redis: the answer came late")

// A batcher reads keys for many callers at once. While few reads are under way, each is a command
// of its own. Else those that come are gathered, and are one MGET when an earlier one is over, or,
// where that has been so just before, when all who are about to ask have asked. So a read is sent
// after it was asked for: none joins a batch that has been sent. To the breaker a batch is one
// command.
type batcher struct {
	conn *Conn

	mu      sync.Mutex
	sent    int       // commands under way, or about to be sent
	latest  time.Time // when the latest was sent
	busy    bool      // the latest had more than one read
	waiting []*batched
	closed  bool
	running sync.WaitGroup // goroutines that send batches; at most maxReads
}

// A batched is a read that waits for its batch.
type batched struct {
	keys   []string
	until  time.Time     // its caller's deadline; zero: none
	done   chan struct{} // has a value when values and err are set
	values []any
	err    error

	sent, left, late bool // in a batch; the caller waits no longer; for its time was over. Under mu
}

// mget is one MGET of one server. It ends with ctx, also where its batch goes on.
func (b *batcher) mget(ctx context.Context, keys []string) ([]any, error) {
	b.mu.Lock()
	if len(b.waiting) >= maxWaiting {
		b.waiting = slices.DeleteFunc(b.waiting, func(r *batched) bool { return r.left })
	}
	switch {
	case b.closed || len(b.waiting) >= maxWaiting:
		b.mu.Unlock() // it is not counted, or those that wait would wait for it
		return b.send(ctx, keys)
	case len(b.waiting) == 0 && !b.busy && b.may():
		b.sent, b.latest = b.sent+1, time.Now()
		b.mu.Unlock()
		defer b.pass()
		return b.send(ctx, keys)
	}
	read := &batched{keys: keys, done: make(chan struct{}, 1)}
	read.until, _ = ctx.Deadline()
	b.waiting = append(b.waiting, read)
	b.next()
	b.mu.Unlock()
	select {
	case <-read.done:
		return read.values, read.err
	case <-ctx.Done():
		return nil, b.leave(ctx, read)
	}
}

// leave ends a read whose caller waits no longer. One that was never sent counts for itself: others
// are so slow that its turn did not come.
func (b *batcher) leave(ctx context.Context, read *batched) error {
	b.mu.Lock()
	read.left, read.late = true, errors.Is(ctx.Err(), context.DeadlineExceeded)
	alone := !read.sent
	b.mu.Unlock()
	if !alone || !read.late || b.conn.away() {
		return outcome(ctx, ctx.Err())
	}
	return b.conn.counted(ctx, func(ctx context.Context, _ redis.UniversalClient) error {
		return ctx.Err()
	})
}

// may reports whether one more command may be sent now. mu is held, as in all of these.
func (b *batcher) may() bool {
	return b.sent == 0 || b.sent < freeReads && !b.busy ||
		b.sent < maxReads && (len(b.waiting) >= maxShare || time.Since(b.latest) >= lateRead)
}

// next has a batch of those that wait sent, if that may be.
func (b *batcher) next() {
	if b.reserve() {
		b.running.Go(b.run)
	}
}

// reserve counts a command for those that wait, if there are any and it may be sent.
func (b *batcher) reserve() bool {
	if len(b.waiting) == 0 || !b.may() {
		return false
	}
	b.sent, b.latest = b.sent+1, time.Now()
	return true
}

// pass ends a command that a caller sent for itself.
func (b *batcher) pass() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent--
	b.next()
}

// run sends batches, for as long as they may be sent. The first is counted already.
func (b *batcher) run() {
	for more := true; more; {
		runtime.Gosched() // goroutines that are about to ask come first
		b.mu.Lock()
		batch := b.take()
		b.mu.Unlock()
		if len(batch) > 0 {
			b.sendAll(batch)
		}
		b.mu.Lock()
		b.sent--
		more = b.reserve()
		b.mu.Unlock()
	}
}

// take takes the next batch of those who wait; nil: all have left. Those who wait are never left
// alone: another command is under way then.
func (b *batcher) take() (batch []*batched) {
	n, keys := 0, 0
	for _, read := range b.waiting {
		if !read.left {
			if keys += len(read.keys); len(batch) == maxShare || len(batch) > 0 && keys > maxKeys {
				break
			}
			batch, read.sent = append(batch, read), true
		}
		n++
	}
	rest := copy(b.waiting, b.waiting[n:])
	clear(b.waiting[rest:])
	b.waiting = b.waiting[:rest]
	if len(batch) > 0 {
		b.latest, b.busy = time.Now(), len(batch) > 1
	}
	return batch
}

// sendAll sends a batch, in which no key is asked for twice, and hands the answers out.
func (b *batcher) sendAll(batch []*batched) {
	n, until := 0, time.Time{}
	for _, read := range batch {
		n += len(read.keys)
	}
	keys, at := make([]string, 0, n), make(map[string]int, n)
	for _, read := range batch {
		for _, key := range read.keys {
			if _, asked := at[key]; !asked {
				at[key] = len(keys)
				keys = append(keys, key)
			}
		}
		if read.until.IsZero() {
			read.until = time.Now().Add(ioTimeout)
		}
		if read.until.After(until) {
			until = read.until
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), until)
	defer cancel()
	values, err := b.sendFor(ctx, keys, func() bool { return b.isLate(batch) })
	all := make([]any, 0, n)
	for _, read := range batch {
		if read.err = err; err == nil {
			for _, key := range read.keys {
				all = append(all, values[at[key]])
			}
			read.values = slices.Clip(all[len(all)-len(read.keys):])
		}
		read.done <- struct{}{}
	}
}

// isLate reports whether most of a batch had their time over before the answer came.
func (b *batcher) isLate(batch []*batched) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	late := 0
	for _, read := range batch {
		if read.late {
			late++
		}
	}
	return 2*late > len(batch)
}

func (b *batcher) send(ctx context.Context, keys []string) ([]any, error) {
	return b.sendFor(ctx, keys, func() bool { return false })
}

// sendFor sends a command. The breaker is told that it failed where the answer is late.
func (b *batcher) sendFor(ctx context.Context, keys []string, isLate func() bool) (
	values []any, err error) {
	if b.conn.away() { // since these reads were asked for
		return nil, ErrAway
	}
	args := make([]any, len(keys)+1)
	args[0] = "mget"
	for i := range keys {
		args[i+1] = &keys[i] // a string would be copied into an allocation of its own
	}
	err = b.conn.counted(ctx, func(ctx context.Context, c redis.UniversalClient) (err error) {
		cmd := redis.NewSliceCmd(ctx, args...)
		_ = c.Process(ctx, cmd)
		values, err = cmd.Result()
		switch {
		case err == nil && len(values) != len(keys):
			return errReply
		case err == nil && isLate():
			return errLate
		}
		return err
	})
	if errors.Is(err, errLate) {
		err = nil
	}
	return values, err
}

// close ends the reads that wait. Later ones, and those under way, fail with the client, which is
// closed next.
func (b *batcher) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for _, read := range b.waiting {
		read.err = redis.ErrClosed
		read.done <- struct{}{}
	}
	b.waiting = nil
}

// Read reads keys of one server at once, like Do with an MGET. Calls that are made at the same time
// share commands. It asks after it was called: no answer is older. An absent key, and one that is
// no string, is nil; a string may be shared with other callers.
func (c *Conn) Read(ctx context.Context, b *Budget, op string,
	keys []string) (values []any, err error) {
	err = c.bounded(ctx, b, op, func(ctx context.Context) (err error) {
		if span, ok := ctx.Value(opSpanKey{}).(*opSpan); c.traced && ok {
			span.note("MGET", 0) // that of a batch has another context
		}
		values, err = c.reads.mget(ctx, keys)
		return err
	})
	return values, err
}
