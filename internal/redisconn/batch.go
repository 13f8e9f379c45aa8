package redisconn

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
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

// A batcher reads keys for many callers at once. While few reads are under way, each is a command
// of its own. Else those that come are gathered, and are one MGET when an earlier one is over. So a
// read is sent after it was asked for: none joins a batch that has been sent.
type batcher struct {
	client redis.UniversalClient

	mu      sync.Mutex
	sent    int       // commands under way
	latest  time.Time // when the latest one was sent
	busy    bool      // it had more than one read
	waiting []*batched
	closed  bool
	running sync.WaitGroup // goroutines that send batches; at most maxReads
}

// A batched is a read that waits for its batch.
type batched struct {
	keys   []string
	until  time.Time     // its caller's deadline; zero: none
	done   chan struct{} // has a value when values and err are set
	left   atomic.Bool   // the caller waits no longer
	values []any
	err    error
}

// mget is one MGET of one server. It ends with ctx, also where its batch goes on.
func (b *batcher) mget(ctx context.Context, keys []string) ([]any, error) {
	b.mu.Lock()
	if len(b.waiting) >= maxWaiting {
		b.waiting = slices.DeleteFunc(b.waiting, func(r *batched) bool { return r.left.Load() })
	}
	switch {
	case b.closed || len(b.waiting) >= maxWaiting:
		b.mu.Unlock() // it is not counted, or those that wait would wait for it
		return b.send(ctx, keys)
	case len(b.waiting) == 0 && b.may():
		b.begin(1)
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
		read.left.Store(true)
		return nil, ctx.Err()
	}
}

// may reports whether one more command may be sent now. mu is held, as in all of these.
func (b *batcher) may() bool {
	return b.sent == 0 || b.sent < freeReads && !b.busy ||
		b.sent < maxReads && (len(b.waiting) >= maxShare || time.Since(b.latest) >= lateRead)
}

// begin notes that a command with so many reads is under way.
func (b *batcher) begin(reads int) { b.sent, b.latest, b.busy = b.sent+1, time.Now(), reads > 1 }

// next sends a batch of those that wait, if that may be.
func (b *batcher) next() {
	if batch := b.take(); len(batch) > 0 {
		b.running.Go(func() { b.run(batch) })
	}
}

// pass ends a command that a caller sent for itself.
func (b *batcher) pass() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sent--
	b.next()
}

// run sends a batch, and those that may be sent after it.
func (b *batcher) run(batch []*batched) {
	for len(batch) > 0 {
		b.sendAll(batch)
		b.mu.Lock()
		b.sent--
		batch = b.take()
		b.mu.Unlock()
	}
}

// take begins the next batch; nil: nobody waits, or no command more may be sent. Those who wait are
// never left alone: another command is under way then.
func (b *batcher) take() (batch []*batched) {
	if len(b.waiting) == 0 || !b.may() {
		return nil
	}
	n, keys := 0, 0
	for _, read := range b.waiting {
		if !read.left.Load() {
			if keys += len(read.keys); len(batch) == maxShare || len(batch) > 0 && keys > maxKeys {
				break
			}
			batch = append(batch, read)
		}
		n++
	}
	rest := copy(b.waiting, b.waiting[n:])
	clear(b.waiting[rest:])
	b.waiting = b.waiting[:rest]
	if len(batch) > 0 {
		b.begin(len(batch))
	}
	return batch
}

// sendAll sends a batch, in which no key is asked for twice, and hands the answers out.
func (b *batcher) sendAll(batch []*batched) {
	var keys []string
	at := map[string]int{}
	until := time.Time{}
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
	values, err := b.send(ctx, keys)
	for _, read := range batch {
		if read.err = err; err == nil {
			read.values = make([]any, len(read.keys))
			for i, key := range read.keys {
				read.values[i] = values[at[key]]
			}
		}
		read.done <- struct{}{}
	}
}

func (b *batcher) send(ctx context.Context, keys []string) ([]any, error) {
	args := make([]any, len(keys)+1)
	args[0] = "mget"
	for i := range keys {
		args[i+1] = &keys[i] // a string would be copied into an allocation of its own
	}
	cmd := redis.NewSliceCmd(ctx, args...)
	_ = b.client.Process(ctx, cmd)
	values, err := cmd.Result()
	if err == nil && len(values) != len(keys) {
		err = errReply
	}
	return values, err
}

// close waits for the batches under way, which end when the client is closed. Later reads fail by
// themselves.
func (b *batcher) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.running.Wait()
}

// Read reads keys of one server at once, like Do with an MGET. Calls that are made at the same time
// share commands. It asks after it was called: no answer is older. An absent key, and one that is
// no string, is nil; a string may be shared with other callers.
func (c *Conn) Read(ctx context.Context, b *Budget, op string,
	keys []string) (values []any, err error) {
	err = c.Do(ctx, b, op, func(ctx context.Context, _ redis.UniversalClient) (err error) {
		values, err = c.reads.mget(ctx, keys)
		return err
	})
	return values, err
}
