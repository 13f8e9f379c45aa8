package redisconn_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/config"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

var testNames = cachekeys.NewNames("test")

const budget = 100 * time.Millisecond

// bound is far more than a budget and far less than any of the faults lasts.
const bound = 2 * time.Second

// patient is a breaker that opens soon and is tried soon.
var patient = config.Breaker{
	MaxRequests: 2, Interval: time.Minute, Timeout: 100 * time.Millisecond, MinRequests: 3,
	FailureRatio: 0.6,
}

func open(t *testing.T, r config.Redis, b config.Breaker) *redisconn.Conn {
	t.Helper()
	c, err := redisconn.New(redisconn.Options{
		Name: "cache", Redis: r, Breaker: b, Names: cachekeys.NewNames("test"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// probing runs the probe until the test ends.
func probing(t *testing.T, c *redisconn.Conn) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
}

func at(s *redisd.Server) config.Redis { return config.Redis{Host: s.Host(), Port: s.Port()} }

// set writes a key, as any request would.
func set(ctx context.Context, c *redisconn.Conn, b *redisconn.Budget) error {
	return c.Do(ctx, b, "set", func(ctx context.Context, r redis.UniversalClient) error {
		return r.Set(ctx, "k", "v", 0).Err()
	})
}

func awaitHealthy(t *testing.T, c *redisconn.Conn) {
	t.Helper()
	proc.Await(t, 20*time.Second, c.Healthy)
}

func TestWhateverFailsTheBudgetHoldsTheBreakerOpensAndTheProbeClosesIt(t *testing.T) {
	for _, fault := range []struct {
		name         string
		begin, endIt func(*redisd.Server)
	}{
		{"killed", (*redisd.Server).Kill, (*redisd.Server).Restart},
		{"frozen", (*redisd.Server).Freeze, (*redisd.Server).Thaw},
		{"paused", func(s *redisd.Server) { s.Do("CLIENT", "PAUSE", "3000", "ALL") },
			func(*redisd.Server) {}},
		{"READONLY", func(s *redisd.Server) { s.Do("REPLICAOF", "127.0.0.1", "1") },
			func(s *redisd.Server) { s.Do("REPLICAOF", "NO", "ONE") }},
		{"OOM", func(s *redisd.Server) { s.Do("CONFIG", "SET", "maxmemory", "1") },
			func(s *redisd.Server) { s.Do("CONFIG", "SET", "maxmemory", "0") }},
		{"NOPERM", func(s *redisd.Server) {
			s.Do("ACL", "SETUSER", "default", "-@all", "+acl", "+ping")
		}, func(s *redisd.Server) { s.Do("ACL", "SETUSER", "default", "+@all") }},
	} {
		t.Run(fault.name, func(t *testing.T) {
			server := redisd.Start(t)
			c := open(t, at(server), patient)
			if err := set(t.Context(), c, nil); err != nil {
				t.Fatal(err)
			}
			fault.begin(server)
			failures, late := 0, proc.Late(t)
			proc.Await(t, 20*time.Second, func() error {
				start, before := time.Now(), late()
				err := set(t.Context(), c, c.Budget(budget))
				if took := time.Since(start) - (late() - before); took > bound {
					t.Fatalf("an operation took %v: %v", took, err)
				}
				if !errors.Is(err, redisconn.ErrAway) {
					failures++
					return fmt.Errorf("still tried: %v", err)
				}
				return nil
			})
			if failures < 2 { // the operation before the fault is counted too
				t.Errorf("open after %d failures", failures)
			}
			called := false
			if err := c.Do(t.Context(), nil, "x",
				func(context.Context, redis.UniversalClient) error {
					called = true
					return nil
				}); called || !errors.Is(err, redisconn.ErrAway) {
				t.Errorf("while open: called %t, %v", called, err)
			}
			probing(t, c)
			fault.endIt(server)
			awaitHealthy(t, c)
			if err := set(t.Context(), c, nil); err != nil {
				t.Errorf("after the fault: %v", err)
			}
		})
	}
}

func TestAnIdleConnectionThatTheServerEndedIsNotUsed(t *testing.T) {
	server := redisd.Start(t)
	c := open(t, at(server), patient)
	for range 3 {
		if err := set(t.Context(), c, nil); err != nil {
			t.Fatal(err)
		}
		server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	}
}

func TestARedisThatHasAnsweredOnceHasDoneSoForGood(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	server.Kill()
	probed := make(chan bool)
	c, err := redisconn.New(redisconn.Options{Name: "cache", Redis: at(server), Breaker: patient,
		Names: testNames, Observe: func(op string, _ time.Duration, failed bool) {
			select {
			case probed <- failed:
			case <-t.Context().Done():
			}
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	probing(t, c)
	for range 2 { // the first one is over then
		if failed := <-probed; !failed || c.HasAnswered() {
			t.Fatalf("a server that is away has answered; its probe failed: %t", failed)
		}
	}
	server.Restart()
	for <-probed {
	}
	server.Kill()
	for !<-probed {
	}
	<-probed // the one that failed is over
	if !c.HasAnswered() {
		t.Error("its answer is forgotten")
	}
}

func TestAnAddressThatSwallowsEverythingCostsTheBudgetAndNoMore(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() // nobody accepts, and the kernel says nothing
	_, port, _ := net.SplitHostPort(l.Addr().String())
	c := open(t, config.Redis{Host: "127.0.0.1", Port: port}, patient)
	start, late := time.Now(), proc.Late(t)
	if err := set(t.Context(), c, c.Budget(budget)); err == nil ||
		redisconn.Reason(err) != reason.RedisTimeout {
		t.Errorf("%v: %q", err, redisconn.Reason(err))
	}
	if took := time.Since(start) - late(); took > bound {
		t.Errorf("it took %v", took)
	}
}

func TestAllOperationsOfARequestShareItsBudget(t *testing.T) {
	server := redisd.Start(t)
	c := open(t, at(server), patient)
	b := c.Budget(budget)
	if err := set(t.Context(), c, b); err != nil {
		t.Fatal(err)
	}
	if left := b.Left(); left >= budget || left <= 0 {
		t.Errorf("%v left of %v", left, budget)
	}
	server.Freeze()
	if err := set(t.Context(), c, b); err == nil {
		t.Fatal("a frozen Redis answered")
	}
	if err := set(t.Context(), c, b); !errors.Is(err, redisconn.ErrBudget) {
		t.Errorf("with nothing left: %v", err)
	}
	server.Thaw()
}

func TestWhatIsNobodysFailureDoesNotOpenTheBreaker(t *testing.T) {
	server := redisd.Start(t)
	c := open(t, at(server), patient)
	left, leave := context.WithCancel(t.Context())
	leave()
	for range 20 {
		_ = c.Do(t.Context(), nil, "nil", func(ctx context.Context, r redis.UniversalClient) error {
			return r.Get(ctx, "nothing").Err()
		})
		_ = c.Do(t.Context(), nil, "odd", func(ctx context.Context, r redis.UniversalClient) error {
			return r.Do(ctx, "NOSUCHCOMMAND").Err()
		})
		if err := set(left, c, nil); err == nil {
			t.Fatal("who left got an answer")
		}
	}
	if err := c.Do(t.Context(), nil, "nil",
		func(ctx context.Context, r redis.UniversalClient) error {
			return r.Get(ctx, "nothing").Err()
		}); err != nil {
		t.Errorf("redis.Nil is an error: %v", err)
	}
	if c.State() != redisconn.Closed {
		t.Errorf("the breaker is %v", c.State())
	}
}

func TestARotatedPasswordNeedsNoRestart(t *testing.T) {
	server := redisd.Start(t, redisd.Password("first"))
	file := filepath.Join(t.TempDir(), "password")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(s+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("wrong")
	cfg, err := config.Load([]string{
		"REDIS_HOST=" + server.Host(), "REDIS_PORT=" + server.Port(), "REDIS_PASSWORD_FILE=" + file,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, cfg.Redis, patient)
	probing(t, c)
	if err := set(t.Context(), c, c.Budget(bound)); err == nil {
		t.Fatal("a wrong password was taken")
	}
	write("first")
	awaitHealthy(t, c)
	if err := set(t.Context(), c, nil); err != nil {
		t.Error(err)
	}
}

func TestAURLNamesTheSameAsTheSingleVariables(t *testing.T) {
	server := redisd.Start(t, redisd.Password("p@ss"))
	cfg, err := config.Load([]string{"REDIS_URL=redis://:p%40ss@" + server.Addr() + "/3"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, cfg.Redis, patient)
	if err := set(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"nonsense", "http://a"} {
		if _, err := redisconn.New(redisconn.Options{
			Redis: config.Redis{URL: config.NewSecret(bad + ":secret")}, Breaker: patient,
		}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestAMalformedREDISURLDoesNotShowItsPassword(t *testing.T) {
	for _, url := range []string{
		"redis://:SECRET@", "redis://user:SEC/RET@host:6379/0", "redis://user:SEC?RET@host:6379",
		"redis://user:6379#SECRET@host:6379",
		"redis://user:SEC RET@host", "redis://user:SEC%RET@host", "redis://user:SECRET@host:port",
		"redis://user:SECRET@host:6379/zero",
		"redis://user:SECRET@host/0?SECRET=1", "user:SECRET@host:6379", "rediss://user:SECRET@host",
		"redis:user:SECRET@host",
		"redis://user:SECRET@[::1", "\x00redis://:SECRET@host",
	} {
		_, err := redisconn.New(redisconn.Options{
			Redis: config.Redis{URL: config.NewSecret(url)}, Breaker: patient,
		})
		if (url == "redis://:SECRET@" || url == "rediss://user:SECRET@host") && err == nil {
			continue // a password, and the default host or port
		}
		if err == nil || strings.Contains(err.Error(), "SEC") ||
			strings.Contains(err.Error(), "RET") || !strings.Contains(err.Error(), "REDIS_URL") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

func TestWhatAnErrorMeans(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	read := &net.OpError{Op: "read", Err: errors.New("reset")}
	for _, c := range []struct {
		err       error
		why       reason.Reason
		uncertain bool
	}{
		{nil, "", false},
		{redisconn.ErrAway, reason.BreakerOpen, false},
		{redisconn.ErrBudget, reason.RedisTimeout, false},
		{context.DeadlineExceeded, reason.RedisTimeout, true},
		{dial, reason.RedisError, false},
		{read, reason.RedisError, true},
		{fmt.Errorf("wrapped: %w", read), reason.RedisError, true},
	} {
		if why, uncertain := redisconn.Reason(c.err), redisconn.Uncertain(c.err); why != c.why ||
			uncertain != c.uncertain {
			t.Errorf("%v: %q, uncertain %t", c.err, why, uncertain)
		}
	}
}

func TestTheEmbeddedRedisServesExpiresAndComesBack(t *testing.T) {
	e, err := redisconn.StartEmbedded("test:e:")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Stop() }()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		e.Run(ctx)
	}()
	defer func() {
		cancel()
		<-done
	}()
	c := open(t, e.Config(), patient)
	probing(t, c)
	awaitHealthy(t, c)
	r := c.Client()
	if err := r.Set(ctx, "k", "v", 200*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	if got := r.Get(ctx, "k").Val(); got != "v" {
		t.Fatalf("%q", got)
	}
	proc.Await(t, 10*time.Second, func() error {
		if n := r.Exists(ctx, "k").Val(); n != 0 {
			return errors.New("it has not expired")
		}
		return nil
	})
	if err := r.Set(ctx, "stays", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice is as good as once
		if err := e.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	proc.Await(t, 10*time.Second, func() error {
		if c.Healthy() == nil {
			return errors.New("nobody has noticed")
		}
		return nil
	})
	if err := e.Restart(); err != nil {
		t.Fatal(err)
	}
	awaitHealthy(t, c)
	if got := r.Get(ctx, "stays").Val(); got != "v" {
		t.Errorf("what it held is %q", got)
	}
}

func TestAnOperationThatGetsNoConnectionInItsTimeIsCounted(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	r := at(server)
	r.PoolSize = 1
	c := open(t, r, patient)
	done := make(chan error, 1)
	go func() {
		done <- c.Do(t.Context(), nil, "hold",
			func(ctx context.Context, r redis.UniversalClient) error {
				return r.BLPop(ctx, time.Minute, "held").Err()
			})
	}()
	proc.Await(t, 20*time.Second, func() error {
		if list := fmt.Sprint(server.Do("CLIENT", "LIST")); !strings.Contains(list, "cmd=blpop") {
			return errors.New("the connection is not held")
		}
		return nil
	})
	if err := set(t.Context(), c, c.Budget(budget)); err == nil {
		t.Fatal("there is a second connection")
	}
	if _, err := c.Read(t.Context(), c.Budget(budget), "read", []string{"k"}); err == nil {
		t.Fatal("there is a second connection")
	}
	if n := c.Stats().Timeouts; n != 2 {
		t.Errorf("%d are counted, want 2", n)
	}
	server.Do("LPUSH", "held", "x")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	server.Freeze() // that an answer is late is no lack of connections
	if err := set(t.Context(), c, c.Budget(budget)); err == nil {
		t.Fatal("a frozen server answers")
	}
	server.Thaw()
	if n := c.Stats().Timeouts; n != 2 {
		t.Errorf("after an answer that was late, %d are counted, want 2", n)
	}
}
