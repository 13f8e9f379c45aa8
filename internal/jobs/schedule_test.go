package jobs

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/internal/lease"
	"sidecar/policy"
)

const schedulePolicies = `{version: 1, caller: {credentials: []}, defaults: {job: {max_retry: 0}}, routes: [
  {name: shut, match: "POST /internal/{rest...}", deny: true}], schedules: [{name: cleanup, cron: "@every 1s",
  request: {path: /internal/cleanup, body: {at: "{now}"}}}]}`

// ticks is an API that keeps the bodies that it gets.
type ticks struct {
	mu     sync.Mutex
	bodies []string
}

func (a *ticks) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bodies = append(a.bodies, string(b))
}

func (a *ticks) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.bodies)
}

// newScheduling returns a sidecar of the schedules before an API. Its requests are in the ticks.
func newScheduling(t *testing.T, api *ticks, content string) *world {
	t.Helper()
	table, _, err := policy.Load([]byte(content),
		policy.Options{Secret: func() []byte { return []byte("secret") }})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, shared, answer(200), func(o *Options) {
		o.Plan, o.Schedules = table.Plan, table.Schedules
	})
	w.Leases = lease.New(lease.Options{Conn: w.conn, Term: time.Second})
	good := w.Backend
	w.Backend = backendFunc(func(ctx context.Context, r *http.Request) (*http.Response, error) {
		api.ServeHTTP(nil, r)
		r.Body = http.NoBody
		r.ContentLength = 0
		return good.Replay(ctx, r)
	})
	w.work()
	return w
}

func TestATickHasOneRunHoweverManySidecarsThereAre(t *testing.T) {
	t.Parallel()
	api := &ticks{}
	a, b := newScheduling(t, api, schedulePolicies), newScheduling(t, api, schedulePolicies)
	stopA := a.during(a.RunSchedules)
	b.during(b.RunSchedules)
	awaitTrue(t, "two ticks", func() bool { return len(api.all()) >= 2 })
	stopA() // the other one takes over, if this was the leader
	seen := len(api.all())
	awaitTrue(t, "two more", func() bool { return len(api.all()) >= seen+2 })
	got := api.all()
	if once := slices.Compact(slices.Sorted(slices.Values(got))); len(once) != len(got) {
		t.Errorf("a tick ran twice: %q", got)
	}
	if !strings.HasPrefix(got[0], `{"at":"20`) {
		t.Errorf("the body is %s", got[0])
	}
	_, value, _ := b.ReportSchedules(t.Context())
	s := value.(map[string]ScheduleState)["cleanup"]
	if s.Last == nil || s.Next == nil || s.JobID == "" || s.Missed != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := b.Job(t.Context(), nil, s.JobID); err != nil {
		t.Error(err)
	}
}

func TestAFormerLeaderRunsNoTickAgain(t *testing.T) {
	t.Parallel()
	api := &ticks{}
	w := newScheduling(t, api, schedulePolicies)
	s, begin := w.Schedules()[0], time.Now()
	tick := func(fence uint64, now time.Time) {
		t.Helper()
		if err := w.tick(t.Context(), s, fence, now); err != nil {
			t.Fatal(err)
		}
	}
	tick(7, begin) // the first look only notes when it began
	key := w.Names.Schedule(s.Name)
	seen := shared.For(t).Do("HGET", key, "seen")
	tick(7, begin.Add(1500*time.Millisecond))
	awaitTrue(t, "it ran", func() bool { return len(api.all()) == 1 })
	after := shared.For(t).Do("HGET", key, "seen")
	// the value that a former leader read before it was frozen
	shared.For(t).Do("HSET", key, "seen", seen)
	tick(6, begin.Add(1500*time.Millisecond))
	if got := shared.For(t).Do("HGET", key, "seen"); got != seen || got == after {
		t.Errorf("a former leader noted a tick: %v", got)
	}
	tick(7, begin.Add(1500*time.Millisecond))
	w.await(w.accept(w.scheduledProbe()), Succeeded)
	if got := api.all(); len(got) != 2 || strings.Contains(got[1], "at") {
		t.Errorf("the tick ran again: %q", got)
	}
}

func TestATickThatRanIsNotMissedThoughItsLeaderWasLostBeforeItNotedIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		every string
		later time.Duration // from the tick that ran
		want  int
	}{
		"one later is taken":   {"@every 1s", 2 * time.Second, 1},
		"all later are missed": {"@every 10m", 25 * time.Minute, 2},
		"none is later":        {"@every 10m", 5 * time.Minute, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := &ticks{}
			w := newScheduling(t, api, strings.Replace(schedulePolicies, "@every 1s", c.every, 1))
			s := w.Schedules()[0]
			begin := time.Now().Add(-time.Hour)
			first := s.Cron.Next(begin)
			for fence, now := range []time.Time{begin, first, first.Add(c.later)} {
				seen := shared.For(t).Do("HGET", w.Names.Schedule(s.Name), "seen")
				if err := w.tick(t.Context(), s, uint64(fence), now); err != nil {
					t.Fatal(err)
				}
				if fence == 1 {
					shared.For(t).Do("HSET", w.Names.Schedule(s.Name), "seen", seen)
				}
			}
			_, value, _ := w.ReportSchedules(t.Context())
			if state := value.(map[string]ScheduleState)["cleanup"]; state.Missed != c.want {
				t.Errorf("%d are missed, want %d", state.Missed, c.want)
			}
		})
	}
}

func TestTicksThatNobodyTookAreReportedAndCaughtUpOnce(t *testing.T) {
	t.Parallel()
	for name, catchUp := range map[string]bool{"caught up": true, "not": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := &ticks{}
			content := strings.Replace(schedulePolicies, `"@every 1s"`,
				`"@every 10m", catch_up: `+
					map[bool]string{true: "true", false: "false"}[catchUp], 1)
			w := newScheduling(t, api, content)
			s, now := w.Schedules()[0], time.Now()
			if err := w.tick(t.Context(), s, 1, now.Add(-35*time.Minute)); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				if err := w.tick(t.Context(), s, 1, now); err != nil {
					t.Fatal(err)
				}
			}
			_, value, _ := w.ReportSchedules(t.Context())
			state := value.(map[string]ScheduleState)["cleanup"]
			if want := map[bool]int{true: 2, false: 3}[catchUp]; state.Missed != want {
				t.Errorf("%d are missed, want %d", state.Missed, want)
			}
			if catchUp {
				awaitTrue(t, "it ran once", func() bool { return len(api.all()) == 1 })
			}
			w.await(w.accept(w.scheduledProbe()), Succeeded)
			if want := map[bool]int{true: 2, false: 1}[catchUp]; len(api.all()) != want {
				t.Errorf("%q", api.all())
			}
		})
	}
}

func TestAScheduleChangesWithTheFile(t *testing.T) {
	t.Parallel()
	var inForce atomic.Pointer[policy.Table]
	load := func(cron string) {
		t.Helper()
		content := strings.Replace(schedulePolicies, "@every 1s", cron, 1)
		secret := func() []byte { return []byte("secret") }
		table, _, err := policy.Load([]byte(content), policy.Options{Secret: secret})
		if err != nil {
			t.Fatal(err)
		}
		inForce.Store(table)
	}
	load("@every 1h")
	api := &ticks{}
	w := newScheduling(t, api, schedulePolicies)
	w.Jobs.Schedules = func() []*policy.Schedule { return inForce.Load().Schedules() }
	w.during(w.RunSchedules)
	state := func() ScheduleState {
		_, value, _ := w.ReportSchedules(t.Context())
		s, _ := value.(map[string]ScheduleState)
		return s["cleanup"]
	}
	within := func(least, most time.Duration) func() bool {
		return func() bool {
			s := state()
			return s.Next != nil && time.Until(*s.Next) > least && time.Until(*s.Next) < most
		}
	}
	awaitTrue(t, "it is an hour off", within(50*time.Minute, time.Hour))
	r, key := shared.For(t), w.Names.Schedule("cleanup")
	r.Do("HSET", key, "seen", time.Now().Add(-30*time.Minute).UnixMilli())
	load("@every 5m") // the ticks that it would have had are not missed
	awaitTrue(t, "it is minutes off", within(4*time.Minute, 5*time.Minute))
	if s := state(); s.Missed != 0 {
		t.Errorf("%+v", s)
	}
	load("@every 1s")
	awaitTrue(t, "it runs", func() bool { return len(api.all()) > 0 })
}

// scheduledProbe is a job behind all that were submitted before.
func (w *world) scheduledProbe() Submission {
	s := w.tickOf(w.Schedules()[0], time.Now())
	s.Request.Body = []byte("probe")
	return s
}
