package e2e

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

var scheduleRounds = flag.Int("schedules.rounds", 1,
	"how often each sidecar that may lead the schedules is frozen and killed; from 2 also ended")

const everySecond = `{version: 1, routes: [{match: "POST /internal/{rest...}", deny: true}],
  schedules: [{name: cleanup, cron: "@every 1s", request: {path: /internal/cleanup, body: {tick: "{now}"}}}]}`

// A tickAPI keeps the jobs and the attempts that it gets for each tick.
type tickAPI struct {
	mu   sync.Mutex
	jobs map[string]map[string]int // tick → X-Job-Id and X-Job-Attempt → requests
}

func (a *tickAPI) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	var body struct{ Tick string }
	content, _ := io.ReadAll(r.Body)
	if json.Unmarshal(content, &body) != nil || body.Tick == "" {
		return // the probe of a sidecar
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.jobs[body.Tick] == nil {
		a.jobs[body.Tick] = map[string]int{}
	}
	a.jobs[body.Tick][r.Header.Get("X-Job-Id")+" "+r.Header.Get("X-Job-Attempt")]++
}

// ticks is how many ticks had a run.
func (a *tickAPI) ticks() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.jobs)
}

// check wants one job for each tick, and each attempt of it once. It returns the first and the last
// tick.
func (a *tickAPI) check(t *testing.T) (first, last time.Time) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	for text, attempts := range a.jobs {
		tick, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		if first.IsZero() || tick.Before(first) {
			first = tick
		}
		if tick.After(last) {
			last = tick
		}
		ids := map[string]bool{}
		for name, requests := range attempts {
			var id, attempt string
			fmt.Sscan(name, &id, &attempt)
			if ids[id] = true; requests != 1 || len(ids) != 1 {
				t.Errorf("the tick %s ran more than once: %v", text, attempts)
			}
		}
	}
	return first, last
}

// Two sidecars with one schedule, of which first one and then the other cannot lead. Each tick has
// one job, or is reported as missed.
func TestATickHasOneRunThoughItsLeaderIsFrozenEndedOrKilled(t *testing.T) {
	t.Parallel()
	api := &tickAPI{jobs: map[string]map[string]int{}}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	redis := redisd.Start(t)
	policies := policiesFile(t, everySecond)
	var sidecars [2]*stack
	begin := func(i int) {
		s := &stack{t: t, redis: redis, api: server.URL}
		s.sidecar, s.url, s.ops = startSidecar(t, server.URL, redis.Addr(), policies,
			"BACKEND_HEALTH_PATH=/healthz")
		sidecars[i] = s
	}
	begin(0)
	begin(1)
	goesOn := func(what string, more int) {
		t.Helper()
		want := api.ticks() + more
		proc.Await(t, 60*time.Second, func() error {
			if n := api.ticks(); n < want {
				return fmt.Errorf("%s: %d ticks had a run, want %d", what, n, want)
			}
			return nil
		})
	}
	goesOn("at the start", 5)
	for range *scheduleRounds {
		for i, s := range sidecars {
			s.sidecar.Signal(syscall.SIGSTOP)
			goesOn(fmt.Sprintf("sidecar %d is frozen", i), 2)
			s.sidecar.Signal(syscall.SIGCONT)
			goesOn(fmt.Sprintf("sidecar %d has thawed", i), 1)
		}
		for i, s := range sidecars {
			s.sidecar.Kill()
			goesOn(fmt.Sprintf("sidecar %d is killed", i), 2)
			begin(i)
		}
		if *scheduleRounds == 1 { // the short form
			break
		}
		for i, s := range sidecars {
			s.sidecar.Signal(syscall.SIGTERM)
			goesOn(fmt.Sprintf("sidecar %d ends", i), 2)
			begin(i)
		}
	}
	// Every tick up to the last had its run, or is counted as missed. A run whose sidecar was
	// killed at that moment comes when its lease has ended. A leader that is frozen when it has
	// read the state may submit a tick that was counted meanwhile.
	frozen := len(sidecars) * *scheduleRounds
	proc.Await(t, 120*time.Second, func() error {
		var status struct {
			Schedules map[string]struct {
				Last, Next time.Time
				Missed     int
			}
		}
		a := do(t, http.MethodGet, sidecars[0].ops+"/status", nil)
		if err := json.Unmarshal(a.body, &status); err != nil {
			t.Fatal(err)
		}
		s := status.Schedules["cleanup"]
		first, last := api.check(t)
		if t.Failed() {
			return nil
		}
		if all, seen := int(last.Sub(first)/time.Second)+1, api.ticks()+s.Missed; seen < all ||
			seen > all+frozen || !s.Next.After(s.Last) {
			return fmt.Errorf("%d ticks from %v to %v: %d had a run, %d are missed: %s",
				all, first, last, api.ticks(), s.Missed, a.body)
		}
		return nil
	})
	for _, s := range sidecars {
		a := do(t, http.MethodPost, s.url+"/internal/cleanup", `{"tick":"forged"}`)
		if a.status != http.StatusNotFound {
			t.Errorf("a client reaches the path of the schedule: %d", a.status)
		}
	}
}

// The lines of the shipped policies that are a comment until the operator wants them.
func TestTheScheduleOfTheShippedPoliciesRuns(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(shippedPolicies(t))
	if err != nil {
		t.Fatal(err)
	}
	before, lines, found := strings.Cut(string(content), "#\n# schedules:\n")
	if !found {
		t.Fatal("the shipped policies have no schedule")
	}
	lines = regexp.MustCompile(`(?m)^# ?`).ReplaceAllString("# schedules:\n"+lines, "")
	nightly := regexp.MustCompile(`cron: "[^"]*"`)
	if !nightly.MatchString(lines) {
		t.Fatalf("no cron in %s", lines)
	}
	policies := policiesFile(t, before+nightly.ReplaceAllString(lines, `cron: "@every 1s"`))
	_, api := startGame(t)
	s := startBefore(t, api, policies, "CLEANUP_TOKEN=cleanup-token-for-tests", sealedWith("k"))
	proc.Await(t, 60*time.Second, func() error {
		a := do(t, http.MethodGet, s.ops+"/status", nil)
		if !regexp.MustCompile(`"expired_tokens": \{[^}]*"outcome": "succeeded"`).Match(a.body) {
			return fmt.Errorf("%s", a.body)
		}
		return nil
	})
	if log := strings.Join(s.sidecar.Lines(), "\n") +
		s.stored(); strings.Contains(log, "cleanup-token-for-tests") {
		t.Error("the token of the schedule stands in the log or in Redis")
	}
}
