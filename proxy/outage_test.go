package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/redisd"
)

// budget is for Redis in one request: long enough to store a response before an outage, also on a
// busy machine.
const budget = 500 * time.Millisecond

// slack is the delay that an idle machine may add to a budget.
const slack = 2 * time.Second

// withinBudgets does something n times that may each wait for Redis for so long, and no longer. A
// busy machine delays it as it delays the requests beside it, which do not need Redis.
func (s *sidecar) withinBudgets(n int, budget time.Duration, do func(n int)) (took time.Duration) {
	s.t.Helper()
	var control time.Duration
	for i := range n {
		began := time.Now()
		do(i)
		took += time.Since(began)
		began = time.Now()
		if a := s.get("/elsewhere"); a.status != http.StatusOK {
			s.t.Errorf("without Redis: %d %v", a.status, a.err)
		}
		control += time.Since(began)
	}
	if most := time.Duration(n)*budget + slack + 3*control; took > most {
		s.t.Errorf("it took %v, and may take %v beside requests of %v", took, most, control)
	}
	return took
}

func TestWithRedisAwayTheBackendAnswersWithinTheBudget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		begin, end func(*redisd.Server)
	}{
		{"killed", (*redisd.Server).Kill, (*redisd.Server).Restart},
		{"frozen", (*redisd.Server).Freeze, (*redisd.Server).Thaw},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			own := redisd.Start(t)
			s := start(t, backendThat(t, counts()), items,
				func(o *setup) { o.redis, o.budget = own, budget })
			s.cached("/items/1")
			c.begin(own)
			s.withinBudgets(10, budget, func(n int) {
				a := s.get("/items/1")
				// every other answer is that of the request beside it
				if want := fmt.Sprint("answer ", 2*n+2); a.body != want ||
					!strings.HasPrefix(a.cache(), "fwd=bypass; detail=") {
					t.Errorf("%d %q %q, want %q", a.status, a.body, a.cache(), want)
				}
			})
			await(t, "the breaker is open",
				func() bool {
					return s.get("/items/1").cache() == "fwd=bypass; detail=breaker-open"
				})
			if a := s.get("/items/1",
				"Cache-Control: only-if-cached"); a.status != http.StatusGatewayTimeout {
				t.Errorf("only-if-cached: %d %q", a.status, a.cache())
			}
			c.end(own)
			await(t, "it hits again",
				func() bool { return strings.HasPrefix(s.get("/items/1").cache(), "hit") })
		})
	}
}

func TestASidecarStartsWithoutItsRedisAndCachesWhenItComes(t *testing.T) {
	t.Parallel()
	own := redisd.Start(t)
	own.Kill()
	s := start(t, backendThat(t, counts()), items,
		func(o *setup) { o.redis, o.budget, o.away = own, 100*time.Millisecond, true })
	if a := s.get("/items/1"); a.body != "answer 1" ||
		!strings.HasPrefix(a.cache(), "fwd=bypass; detail=") {
		t.Errorf("%d %q %q", a.status, a.body, a.cache())
	}
	own.Restart()
	await(t, "it hits", func() bool { return strings.HasPrefix(s.get("/items/1").cache(), "hit") })
}

// An invalidation that Redis did not take is kept, and nothing is read from Redis until it is
// made good.
func TestNothingWrittenDuringAnOutageIsServedStaleAfterIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		begin, end func(*redisd.Server)
	}{
		{"killed, with its data", (*redisd.Server).Kill, (*redisd.Server).Restart},
		{"frozen", (*redisd.Server).Freeze, (*redisd.Server).Thaw},
		{"refuses new connections", func(s *redisd.Server) {
			s.Do("ACL", "SETUSER", "default", "-@all", "+acl", "+client")
			s.Do("CLIENT", "KILL", "TYPE", "normal")
		}, func(s *redisd.Server) { s.Do("ACL", "SETUSER", "default", "+@all") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var version atomic.Int64
			own := redisd.Start(t, redisd.AOF("always"))
			b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
				if r.Method == http.MethodPut {
					version.Add(1)
				}
				write(w, fmt.Sprint("version ", version.Load()))
			})
			s := start(t, b, items,
				func(o *setup) { o.redis, o.budget = own, budget })
			s.cached("/items/1")
			s.cached("/items/2") // which nobody writes
			c.begin(own)
			s.withinBudgets(1, budget, func(int) {
				a := s.do(t.Context(), http.MethodPut, "/items/1", nil)
				if a.status != http.StatusOK {
					t.Errorf("the write: %d %v", a.status, a.err)
				}
			})
			if a := s.get("/items/1"); a.body != "version 1" {
				t.Errorf("right after the write: %q %q", a.body, a.cache())
			}
			c.end(own)
			await(t, "it hits again", func() bool {
				a := s.get("/items/1")
				if a.body != "version 1" {
					t.Fatalf("after the outage: %q %q", a.body, a.cache())
				}
				return strings.HasPrefix(a.cache(), "hit")
			})
		})
	}
}

// Redis answers, but slowly: the requests of one client spend one budget, and not one for each
// command.
func TestASlowRedisDelaysARequestByItsBudgetAndNoMore(t *testing.T) {
	t.Parallel()
	own := redisd.Start(t)
	s := start(t, backendThat(t, counts()), items,
		func(o *setup) { o.redis, o.budget = own, 300*time.Millisecond })
	s.cached("/items/1")
	own.Do("CLIENT", "PAUSE", "30000", "ALL")
	took := s.withinBudgets(1, 300*time.Millisecond, func(int) {
		if a := s.get("/items/1"); a.body != "answer 2" ||
			a.cache() != "fwd=bypass; detail=redis-timeout" {
			t.Errorf("%q %q", a.body, a.cache())
		}
	})
	if took < 250*time.Millisecond {
		t.Errorf("it waited %v for Redis", took)
	}
}
