package coherence

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// An Incarnation knows which Redis servers this process has met, by their replication ids. A
// restart, an older dump and a failover all bring a new id and new connections: before the first of
// them is used, everything that was stored before is dropped, for the data that came back may be
// older than an invalidation. It is safe for concurrent use.
type Incarnation struct {
	names cachekeys.Names
	log   *slog.Logger

	greeting   chan struct{} // holds a value while a server is greeted; see hello
	mu         sync.Mutex
	met        map[string]bool
	generation atomic.Uint64
	untold     atomic.Bool
}

// maxMet bounds the ids that a process remembers; a forgotten one is greeted again.
const maxMet = 1000

// NewIncarnation returns one that has met nobody. A nil log is slog.Default.
func NewIncarnation(names cachekeys.Names, log *slog.Logger) *Incarnation {
	if log == nil {
		log = slog.Default()
	}
	return &Incarnation{
		names: names, log: log, greeting: make(chan struct{}, 1), met: map[string]bool{},
	}
}

// Greet is called for every new connection before its first use. On an error the connection must
// not be used. at gives a client of another node of the Cluster, which Greet closes, for the tag
// All may lie there: not the cluster's client, which may be waiting for this very connection.
func (i *Incarnation) Greet(ctx context.Context, conn redis.Cmdable,
	at func(addr string) *redis.Client) (server string, err error) {
	id, role, err := redisconn.WhoIs(ctx, conn)
	switch {
	case err != nil:
		return "", err
	case role != "" && role != "master":
		return "", redisconn.ErrReplica
	case id == "":
		return "", i.withoutID(ctx, conn, at)
	}
	i.untold.Store(false)
	if i.hasMet(id) {
		return id, nil
	}
	return id, i.hello(ctx, conn, at, id)
}

// Moved drops everything that is stored on a server which answers in the place of another. Until
// the change was noticed this process may have invalidated on the server before it, and others may
// have stored on this one meanwhile.
func (i *Incarnation) Moved(ctx context.Context, conn redis.Cmdable,
	at func(addr string) *redis.Client) error {
	err := withAll(conn, at, func(c redis.Cmdable) error {
		return c.Del(ctx, i.names.Token(allDigest)).Err()
	})
	i.generation.Add(1)
	return err
}

// Beat greets a server again, over a connection that is open: it keeps the id known, which Redis
// may evict, and notices one that changed on a healthy server.
func (i *Incarnation) Beat(ctx context.Context, conn redis.Cmdable,
	at func(addr string) *redis.Client) error {
	id, _, err := redisconn.WhoIs(ctx, conn)
	if err != nil || id == "" {
		return err
	}
	return i.hello(ctx, conn, at, id)
}

// hello drops everything on a server that nobody has met. One server is greeted at a time, or two
// first connections would make two meetings of one:
//
//  1. the first one adds the id, and has not noted it here yet;
//  2. the second one finds the id there, and notes it as the first server that this process met;
//  3. the first one notes it as another one, and what was filled meanwhile is dropped for nothing.
func (i *Incarnation) hello(ctx context.Context, conn redis.Cmdable,
	at func(addr string) *redis.Client, id string) error {
	select {
	case i.greeting <- struct{}{}:
		defer func() { <-i.greeting }()
	case <-ctx.Done():
		return fmt.Errorf("greeting redis: %w", ctx.Err())
	}
	var first int
	err := withAll(conn, at, func(c redis.Cmdable) (err error) {
		first, err = helloScript.Run(ctx, c,
			[]string{i.names.Known(), i.names.Token(allDigest)}, id).Int()
		return err
	})
	if err != nil {
		return fmt.Errorf("greeting redis: %w", err)
	}
	if !i.hasMet(id) || first == 1 {
		i.meet(id)
	}
	if first == 1 {
		i.log.Info("a redis that nobody has met yet: everything stored before is dropped", "replid",
			id)
	}
	return nil
}

func (i *Incarnation) hasMet(id string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.met[id]
}

// meet begins a new generation: reads from several servers during the change prove nothing.
// Before the first one nothing was read.
func (i *Incarnation) meet(id string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if len(i.met) > 0 {
		i.generation.Add(1)
	}
	if len(i.met) >= maxMet {
		clear(i.met)
	}
	i.met[id] = true
}

// Generation grows whenever this process meets a server for the first time. A hit, a join or a
// store in whose course it grew counts as a miss: in Cluster the token of All and the tags are
// read at different moments.
func (i *Incarnation) Generation() uint64 {
	if i == nil {
		return 0
	}
	return i.generation.Load()
}

// withoutID drops everything on each new connection to a server that does not tell its id: its data
// may be of any age.
func (i *Incarnation) withoutID(ctx context.Context, conn redis.Cmdable,
	at func(addr string) *redis.Client) error {
	if !i.untold.Swap(true) {
		i.log.Warn("redis does not answer INFO replication (an ACL?): the cache is emptied at " +
			"every new connection to it")
	}
	err := withAll(conn, at, func(c redis.Cmdable) error {
		return c.Del(ctx, i.names.Token(allDigest)).Err()
	})
	i.generation.Add(1) // after the deletion: who notes the new one reads nothing from before
	return err
}

// withAll calls f with conn or, where that says so, with the node of the Cluster that serves the
// tag All.
func withAll(conn redis.Cmdable, at func(addr string) *redis.Client,
	f func(redis.Cmdable) error) error {
	err := f(conn)
	if err == nil || at == nil || !strings.HasPrefix(err.Error(), "MOVED ") {
		return err
	}
	node := at(err.Error()[strings.LastIndexByte(err.Error(), ' ')+1:])
	defer node.Close()
	return f(node)
}

// Untold reports whether Redis does not tell its replication id.
func (i *Incarnation) Untold() bool { return i != nil && i.untold.Load() }
