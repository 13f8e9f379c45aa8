package redisconn

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Times of the watch. A connection is used for no longer than trustTime after its server was asked
// who it is; with the longest command of a request that stays under a second.
const (
	watchEvery   = 250 * time.Millisecond
	watchTimeout = 500 * time.Millisecond // to dial and to ask
	trustTime    = 850 * time.Millisecond
)

// ErrUnproved means that nothing was sent, because the server has not said in time who it is.
var ErrUnproved = errors.New("redis: the server has not said for a second who it is")

// errOutdated means that the answer came from a server that has not said in time who it is.
var errOutdated = errors.New("redis: the answer may come from a server that was replaced")

// errReplaced means that a new connection leads to another server than the others do.
var errReplaced = errors.New("redis: another server answers")

// A watch sees to it that all connections lead to the server that the address leads to, and that
// this server is the primary. A failover may leave connections to the demoted server open: behind
// an address that moves, behind a proxy, or where the demoted server has lost its link. So the
// watch dials the address again and again and asks who answers. Where that is another server than
// before, or a replica, or nobody, it drops all connections.
//
// All that is stored on another server is dropped when it is noticed, for this process may have
// invalidated on the first one. It is used only when trustTime has passed, and is emptied again
// then: until that time another process may invalidate on the first server, and die before it
// notices. The same holds where the first one comes back.
//
// All connections are greeted when they are made, and refused where they lead to another server
// than the rest. One answer over a new connection therefore speaks for all of them.
type watch struct {
	conn    *Conn
	greeter Greeter
	open    *connections
	node    func(addr string) *redis.Client // nil for one server
	log     *slog.Logger
	name    string
	begun   time.Time

	running atomic.Bool
	proved  atomic.Int64 // when the last proof was asked for, in nanoseconds since begun; 0: never
	wake    chan struct{}

	mu      sync.Mutex
	servers map[string]string // identity of the server by address
	others  map[string]other  // server that answers since another one did, by address
	next    chan struct{}     // closed with the next proof, and when nothing is watched any more
}

// An other is a server that has answered since a while, in the place of another one.
type other struct {
	server string
	since  time.Time
}

// run watches until ctx is done, or until a server does not tell who it is: then nothing can be
// proved, and the greeter drops everything at each new connection.
func (w *watch) run(ctx context.Context) {
	w.running.Store(true)
	defer func() {
		w.running.Store(false)
		w.wakeWaiting()
	}()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for w.look(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.wake:
		}
	}
}

// look asks all servers. It returns false if one does not tell who it is.
func (w *watch) look(ctx context.Context) (told bool) {
	start := time.Since(w.begun)
	bounded, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	addrs, err := w.conn.addrs(bounded)
	if err != nil {
		w.conn.failed(ctx, err)
		return true
	}
	var all sync.WaitGroup
	var failed, untold atomic.Bool
	for _, addr := range addrs {
		all.Go(func() {
			server, err := w.ask(bounded, addr)
			if err != nil && ctx.Err() == nil {
				failed.Store(true)
				w.open.drop(addr)
				w.conn.failed(ctx, err)
			}
			if err == nil && server == "" {
				untold.Store(true)
			}
		})
	}
	all.Wait()
	if cluster, ok := w.conn.client.(*redis.ClusterClient); ok && failed.Load() {
		cluster.ReloadState(ctx) // in the background
	}
	if !failed.Load() {
		w.proved.Store(int64(start))
		w.wakeWaiting()
	}
	return !untold.Load()
}

func (w *watch) wakeWaiting() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.next)
	w.next = make(chan struct{})
}

// awaitTrust waits until the connections are trusted: no longer than ctx, and than an answer of the
// server may take. It reports whether they are.
func (w *watch) awaitTrust(ctx context.Context) bool {
	if w.trusted() {
		return true
	}
	late := time.NewTimer(watchTimeout)
	defer late.Stop()
	for {
		w.mu.Lock()
		next := w.next
		w.mu.Unlock()
		if w.trusted() { // also a proof that came before next was read
			return true
		}
		select {
		case <-next:
		case <-late.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

// ask dials addr and asks who answers. An error means that the connections to addr are not to be
// used any more.
func (w *watch) ask(ctx context.Context, addr string) (server string, err error) {
	server, err = w.askOnce(ctx, addr)
	if err != nil && w.conn.keeper.refused(err) {
		server, err = w.askOnce(ctx, addr)
	}
	return server, err
}

func (w *watch) askOnce(ctx context.Context, addr string) (server string, err error) {
	client := w.conn.fresh(addr, nil)
	defer client.Close()
	conn := client.Conn()
	defer conn.Close()
	if server, err = w.greeter.Greet(ctx, conn, w.node); err != nil || server == "" {
		return "", err
	}
	if moved, ripe := w.moved(addr, server); moved {
		if err := w.greeter.Moved(ctx, conn, w.node); err != nil {
			return "", err
		}
		if !ripe {
			return "", errReplaced
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.others, addr)
	w.servers[addr] = server
	return server, nil
}

// moved reports whether another server than the last time answers at addr, and whether it has done
// so for long enough that no connection to another one is used by anybody. The server before that
// comes back in its place is another one too.
func (w *watch) moved(addr, server string) (moved, ripe bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.servers[addr]
	if before == "" || before == server && w.others[addr].server == "" {
		return false, false
	}
	if w.others[addr].server != server {
		w.others[addr] = other{server, time.Now()}
		w.log.Warn("another redis answers than before: all connections are dropped",
			"redis", w.name, "server", server)
	}
	return true, time.Since(w.others[addr].since) >= trustTime
}

// admit greets a new connection to the one server. A connection to another server than before is
// refused until the watch has seen that too; and while the watch waits for another one, so is a
// connection to the first, which nobody would drop when the wait is over.
func (w *watch) admit(ctx context.Context, addr string, conn redis.Cmdable) error {
	server, err := w.greeter.Greet(ctx, conn, nil)
	if err != nil || server == "" {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if before := w.servers[addr]; before == "" || !w.running.Load() {
		w.servers[addr] = server
	} else if other := w.others[addr].server; before != server || other != "" {
		if other == server {
			return errReplaced // the watch knows, and waits
		}
		select {
		case w.wake <- struct{}{}:
		default:
		}
		return errReplaced
	}
	return nil
}

// trusted reports whether the connections lead to the server that the address led to a moment ago.
// In Cluster, where that is asked of each node, the connections to a node that does not answer are
// dropped, and nothing else depends on it.
func (w *watch) trusted() bool {
	if w == nil || w.node != nil || !w.running.Load() {
		return true
	}
	proved := time.Duration(w.proved.Load())
	return proved > 0 && time.Since(w.begun)-proved < trustTime
}
