package redisconn_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/config"
	"sidecar/internal/redisconn"
	"sidecar/test/faultproxy"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// runID greets a server by the id of its process.
type runID struct{ moved chan string }

func (g runID) Greet(ctx context.Context, conn redis.Cmdable,
	_ func(string) *redis.Client) (string, error) {
	info, err := conn.InfoMap(ctx, "server").Result()
	if err != nil {
		return "", err
	}
	return info["Server"]["run_id"], nil
}

func (g runID) Moved(ctx context.Context, conn redis.Cmdable, at func(string) *redis.Client) error {
	server, err := g.Greet(ctx, conn, at)
	select {
	case g.moved <- server:
	default: // nobody looks at so many
	}
	return err
}

// watched returns a connection through p whose servers are watched, and which has been used.
func watched(t *testing.T, p *faultproxy.Proxy) (*redisconn.Conn, runID) {
	t.Helper()
	g := runID{moved: make(chan string, 10)}
	host, port, _ := net.SplitHostPort(p.Addr())
	c, err := redisconn.New(redisconn.Options{
		Name: "cache", Redis: config.Redis{Host: host, Port: port},
		Names: cachekeys.NewNames("test"), Greet: g,
		Breaker: config.Breaker{
			MaxRequests: 1, Interval: time.Minute, Timeout: time.Minute,
			MinRequests: 1e6, FailureRatio: 1,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	probing(t, c)
	proc.Await(t, 20*time.Second, func() error { return set(t.Context(), c, nil) })
	return c, g
}

// lastSuccess uses c for a while, and returns when an operation succeeded for the last time.
func lastSuccess(t *testing.T, c *redisconn.Conn, d time.Duration) (last time.Duration) {
	t.Helper()
	for begun := time.Now(); time.Since(begun) < d; time.Sleep(time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if set(ctx, c, nil) == nil {
			last = time.Since(begun)
		}
		cancel()
	}
	return last
}

func TestConnectionsAreUsedNoLongerThanTheirAddressLeadsToAServer(t *testing.T) {
	t.Parallel()
	hangs, err := net.Listen("tcp", "127.0.0.1:0") // accepts in the kernel, and answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer hangs.Close()
	for name, elsewhere := range map[string]string{
		"nobody": "127.0.0.1:1", "a server that does not answer": hangs.Addr().String(),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redisd.Start(t)
			p := faultproxy.Start(t, server.Addr())
			c, _ := watched(t, p)
			p.Divert(elsewhere)
			if last := lastSuccess(t, c, 2*time.Second); last > time.Second {
				t.Errorf("a connection was used %v after its address led elsewhere", last)
			}
			p.Divert(server.Addr())
			proc.Await(t, 20*time.Second, func() error { return set(t.Context(), c, nil) })
		})
	}
}

func TestAnotherServerIsNoticedAndNoConnectionToTheFirstIsUsed(t *testing.T) {
	t.Parallel()
	first, second := redisd.Start(t), redisd.Start(t)
	p := faultproxy.Start(t, first.Addr())
	c, g := watched(t, p)
	p.Divert(second.Addr())
	select {
	case <-g.moved:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody noticed")
	}
	before := first.Calls()["set"]
	proc.Await(t, 20*time.Second, func() error { return set(t.Context(), c, nil) })
	lastSuccess(t, c, 300*time.Millisecond)
	if after := first.Calls()["set"]; after != before {
		t.Errorf("%d commands reached the first server", after-before)
	}
	if second.Calls()["set"] == 0 {
		t.Error("no command reached the second")
	}
}

func TestAREADONLYReplyDropsAllConnections(t *testing.T) {
	t.Parallel()
	first, second := redisd.Start(t), redisd.Start(t)
	p := faultproxy.Start(t, first.Addr())
	host, port, _ := net.SplitHostPort(p.Addr())
	// nobody watches: as of the job store
	c := open(t, config.Redis{Host: host, Port: port}, patient)
	useTwo(t, c)
	p.Divert(second.Addr())
	first.Do("REPLICAOF", second.Host(), second.Port())
	if err := set(t.Context(), c, nil); err == nil {
		t.Fatal("a replica takes a write")
	}
	if err := set(t.Context(), c, nil); err != nil {
		t.Errorf("after the READONLY reply: %v", err)
	}
}

// useTwo lets two operations hold a connection each at the same time, so that both are in the pool.
func useTwo(t *testing.T, c *redisconn.Conn) {
	t.Helper()
	var both, done sync.WaitGroup
	both.Add(2)
	for range 2 {
		done.Go(func() {
			err := c.Do(t.Context(), nil, "test",
				func(ctx context.Context, r redis.UniversalClient) error {
					return r.Watch(ctx, func(tx *redis.Tx) error { // holds its connection meanwhile
						both.Done()
						both.Wait()
						return nil
					}, "k")
				})
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
}

func TestNothingIsSentBeforeTheFirstProof(t *testing.T) {
	t.Parallel()
	c, err := redisconn.New(redisconn.Options{
		Name: "cache", Redis: config.Redis{Host: "127.0.0.1", Port: "1"},
		Names: cachekeys.NewNames("test"), Breaker: patient, Greet: runID{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	probing(t, c)
	proc.Await(t, 20*time.Second, func() error {
		if err := set(t.Context(), c, nil); !errors.Is(err, redisconn.ErrUnproved) &&
			!errors.Is(err, redisconn.ErrAway) {
			return err
		}
		return nil
	})
}

// Somebody may have used the other server meanwhile, and be gone.
func TestAServerThatComesBackInItsPlaceIsEmptiedAndWaitedForToo(t *testing.T) {
	t.Parallel()
	first, second := redisd.Start(t), redisd.Start(t)
	p := faultproxy.Start(t, first.Addr())
	c, g := watched(t, p)
	noticed := func(what string) string {
		t.Helper()
		select {
		case server := <-g.moved:
			return server
		case <-time.After(20 * time.Second):
			t.Fatalf("nobody noticed %s", what)
		}
		return ""
	}
	other := divertTo(t, p, second.Addr())
	if got := noticed("the second server"); got != other {
		t.Fatalf("%s was emptied, not %s", got, other)
	}
	for end := time.Now().Add(2 * time.Second); time.Now().
		Before(end); time.Sleep(time.Millisecond) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		err := set(ctx, c, nil)
		if cancel(); errors.Is(err, redisconn.ErrUnproved) {
			break // the proof from before the move has run out
		}
	}
	own, back := divertTo(t, p, first.Addr()), time.Now()
	for noticed("the first server") != own { // the second one may have been seen once more
	}
	proc.Await(t, 20*time.Second, func() error { return set(t.Context(), c, nil) })
	if took := time.Since(back); took < 800*time.Millisecond {
		t.Errorf("the first server was used after %v", took)
	}
}

// divertTo makes p lead to another server, and returns its run id.
func divertTo(t *testing.T, p *faultproxy.Proxy, addr string) string {
	t.Helper()
	client := redis.NewClient(&redis.Options{Addr: addr})
	defer client.Close()
	server, err := runID{}.Greet(t.Context(), client, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.Divert(addr)
	return server
}
