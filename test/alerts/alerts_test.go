// Package alerts loads the rules and the dashboard of monitoring/ into a real Prometheus, which
// scrapes sidecars under load, and breaks the parts that the alerts are about.
package alerts

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

func TestMain(m *testing.M) {
	proc.SideBySide(len(faults)) // they mostly wait
	code := m.Run()
	proc.Clean()
	os.Exit(code)
}

// healthTime is how long all worlds are healthy at the beginning: longer than each `for` of the
// hurried rules but that of SidecarNothingIsHit, for which one world is healthy to the end.
const healthTime = 20 * time.Second

// A fault is a cause of alerts in a world of its own.
type fault struct {
	name   string
	alerts []string // that fire, and no others
	may    []string // that may fire, since they are about the same
	tls    bool     // its Redis speaks TLS
	env    []string
	begin  func(w *world) // makes the fault
	end    func(w *world) // puts it right
	says   []string       // in the reasons of /status, and on the page
	logs   []string       // patterns of lines
}

// away are the alerts of a Redis that is away: writes come all the time.
var away = []string{"SidecarRedisAway", "SidecarInvalidationsDeferred"}

// certificates are issued by a CA that sidecars know, and by one that they do not.
type certificates struct{ ca, other *redisd.CA }

var faults = []fault{
	{
		name: "api-down", alerts: []string{"SidecarBackendDown", "SidecarBackendErrors"},
		may:   []string{"SidecarJobsWait"}, // workers take none
		begin: func(w *world) { w.api.close() },
		end:   func(w *world) { w.api.listen() },
		says:  []string{"the API does not answer", "connection refused"},
		logs:  []string{`"msg":"request".*"status":502.*connection refused`},
	},
	{
		name: "api-hangs", alerts: []string{"SidecarBackendDown", "SidecarBackendErrors"},
		may:   []string{"SidecarJobsFail", "SidecarJobsWait"},
		begin: func(w *world) { w.api.hang.Store(true) },
		end:   func(w *world) { w.api.hang.Store(false) },
		says:  []string{"the API does not answer", "did not answer in time"},
		logs:  []string{`"msg":"request".*"status":504.*did not answer in time`},
	},
	{
		name: "api-fails", alerts: []string{"SidecarBackendErrors"},
		may:   []string{"SidecarJobsFail"},
		begin: func(w *world) { w.api.answer.Store(503) },
		end:   func(w *world) { w.api.answer.Store(0) },
		logs:  []string{`"msg":"request".*"route":"item_write".*"status":503`},
	},
	{
		name: "redis-down", alerts: away, env: []string{"LOG_LEVEL=debug"},
		begin: func(w *world) { w.redis.Stop() },
		end:   func(w *world) { w.redis.Restart() },
		says:  []string{"the cache's Redis is away", "refused: nothing listens there"},
		logs: []string{`redis cannot be used.*refused`, `redis is away: the breaker opens`,
			`"library":"go-redis"`},
	},
	{
		name: "redis-password", alerts: away,
		begin: func(w *world) { w.redis.SetPassword("another") },
		end:   func(w *world) { w.redis.SetPassword("") },
		says:  []string{"no password: it wants one: set REDIS_PASSWORD"},
		logs:  []string{`redis cannot be used.*set REDIS_PASSWORD`},
	},
	{
		name: "redis-certificate", alerts: away, tls: true,
		begin: func(w *world) { w.redis.SetCertificate(w.issuers.other.Host()) },
		end:   func(w *world) { w.redis.SetCertificate(w.issuers.ca.Host()) },
		says:  []string{"certificate of an unknown CA", "REDIS_TLS_CA_FILE"},
		logs:  []string{`redis cannot be used.*REDIS_TLS_CA_FILE`},
	},
	{
		name: "redis-replica", alerts: away,
		begin: func(w *world) { w.redis.Do("REPLICAOF", "127.0.0.1", "1") },
		end:   func(w *world) { w.redis.Do("REPLICAOF", "NO", "ONE") },
		says:  []string{"it is a replica: name the primary"},
		logs:  []string{`redis cannot be used.*replica`},
	},
	{
		name: "redis-slow", alerts: []string{"SidecarRedisSlow"},
		// a write whose invalidation is late, and connections that a stuck Redis holds
		may: []string{"SidecarInvalidationsDeferred", "SidecarRedisPoolExhausted"},
		// the breaker opens where most operations fail; here it is a part
		env:   []string{"REDIS_TIMEOUT=100ms", "BREAKER_FAILURE_RATIO=0.9"},
		begin: func(w *world) { w.stalling.Store(int64(400 * time.Millisecond)) },
		end:   func(w *world) { w.stalling.Store(0) },
	},
	{
		name: "redis-pool", alerts: []string{"SidecarRedisPoolExhausted"},
		may: []string{"SidecarInvalidationsDeferred", "SidecarRedisSlow"},
		env: []string{"REDIS_TIMEOUT=100ms", "REDIS_POOL_SIZE=2", "BREAKER_FAILURE_RATIO=0.9"},
		begin: func(w *world) {
			w.stalling.Store(int64(400 * time.Millisecond))
			w.searching.Store(true)
		},
		end: func(w *world) { w.stalling.Store(0); w.searching.Store(false) },
	},
	{
		name: "policies", alerts: []string{"SidecarPoliciesRefused"},
		begin: func(w *world) { w.write("version: 1\nroutes: [{match: 'get /items'}]\n") },
		end:   func(w *world) { w.write(policies) },
		says:  []string{"policies"},
		logs:  []string{`policies.yaml:2:18: `},
	},
	{
		name: "jobs-fail", alerts: []string{"SidecarJobsFail"},
		begin: func(w *world) { w.api.refuse.Store(422) },
		end:   func(w *world) { w.api.refuse.Store(0) },
		logs:  []string{`a job failed.*"job_type":"report".*422`},
	},
	{
		name: "jobs-wait", alerts: []string{"SidecarJobsWait"},
		env:   []string{"JOBS_CONCURRENCY=1", "BACKEND_TIMEOUT=20s"},
		begin: func(w *world) { w.api.slow.Store(int64(3 * time.Second)) },
		end:   func(w *world) { w.api.slow.Store(0) },
	},
	{
		name: "hits-differ", alerts: []string{"SidecarHitsDiffer"},
		begin: func(w *world) { w.api.past.Add(1) },
		end: func(w *world) {
			if out, status := w.run("purge", "item:*"); status != 0 {
				w.t.Errorf("purge: %d %s", status, out)
			}
		},
		logs: []string{`a hit differs from the API's answer.*"route":"item".*past`},
	},
	{
		name: "nothing-hit", alerts: []string{"SidecarNothingIsHit"},
		begin: func(w *world) { w.searching.Store(true) },
		end:   func(w *world) { w.repeating.Store(true) },
	},
	{
		name: "tokens", alerts: []string{"SidecarTokensFail"},
		begin: func(w *world) { w.forging.Store(true) },
		end:   func(w *world) { w.forging.Store(false) },
	},
}

// All worlds are healthy at first, and no alert fires. Then each but one gets its fault, side by
// side: its alerts fire and no others, /status, page and log have the cause in words, what the
// runbook says is to be seen is there, and the alerts end when the fault is put right.
func TestEachAlertFiresByItsCauseAndNoneWithout(t *testing.T) {
	issuers := &certificates{ca: redisd.NewCA(t), other: redisd.NewCA(t)}
	worlds := make([]*world, len(faults))
	for i, f := range faults {
		worlds[i] = startWorld(t, f, issuers)
	}
	healthy := startWorld(t, fault{name: "healthy"}, issuers)
	p := startPrometheus(t, append(slices.Clone(worlds), healthy))
	p.hasAllRules()

	time.Sleep(healthTime) // the time in which none may fire
	for _, w := range append(slices.Clone(worlds), healthy) {
		if fired := p.fired(w.name); len(fired) > 0 {
			t.Errorf("%s is healthy, and has %v", w.name, slices.Collect(maps.Keys(fired)))
		}
	}
	p.showsAllPanels(healthy.name)

	t.Run("faults", func(t *testing.T) {
		for i, f := range faults {
			t.Run(f.name, func(t *testing.T) {
				t.Parallel()
				f.check(t, p, worlds[i])
			})
		}
	})
	for _, w := range append(slices.Clone(worlds), healthy) {
		w.t = t
		w.logsJSON()
	}
	if fired := p.fired(healthy.name); len(fired) > 0 {
		t.Errorf("the healthy world has %v", slices.Collect(maps.Keys(fired)))
	}
	for _, name := range alertsOfTheRunbook(t) {
		if !slices.ContainsFunc(faults,
			func(f fault) bool { return slices.Contains(f.alerts, name) }) {
			t.Errorf("nothing here is to fire %s", name)
		}
	}
}

// check makes the fault and puts it right.
func (f fault) check(t *testing.T, p *prometheus, w *world) {
	w.t = t
	f.begin(w)
	await := func(what string, fires bool) {
		t.Helper()
		for _, name := range f.alerts {
			proc.Await(t, 2*time.Minute, func() error {
				firing, err := p.firing(w.name)
				if err == nil && firing[name] != fires {
					err = fmt.Errorf("%s: %s; firing: %v", name, what, firing)
				}
				return err
			})
		}
	}
	await("it does not fire", true)
	for _, name := range f.alerts {
		w.seesWhatTheRunbookNames(p, name)
	}
	w.saysWhy(f)
	f.end(w)
	await("it does not end", false)
	for name := range p.fired(w.name) {
		if !slices.Contains(f.alerts, name) && !slices.Contains(f.may, name) {
			t.Errorf("%s fired too", name)
		}
	}
}

// saysWhy looks for the cause, in words, in /status, on the page, and in the log.
func (w *world) saysWhy(f fault) {
	w.t.Helper()
	for _, want := range f.says {
		proc.Await(w.t, 20*time.Second, func() error {
			doc, err := w.status()
			if err != nil {
				return err
			}
			if reasons := fmt.Sprint(doc["reasons"]); !strings.Contains(reasons, want) {
				return fmt.Errorf("/status has not %q in %s", want, reasons)
			}
			page, err := w.page()
			if err == nil && !strings.Contains(page, want) {
				err = fmt.Errorf("the page has not %q: %s", want, page)
			}
			return err
		})
	}
	for _, line := range f.logs {
		proc.Await(w.t, 20*time.Second, func() error {
			if w.sidecar.Count(line) == 0 {
				lines := w.sidecar.Lines()
				return fmt.Errorf("the log has no line like %q: %q", line,
					lines[max(0, len(lines)-10):])
			}
			return nil
		})
	}
}

// logsJSON checks that each line that the process has printed is of the one format.
func (w *world) logsJSON() {
	w.t.Helper()
	for _, line := range w.sidecar.Lines() {
		var l struct{ Time, Level, Msg string }
		if err := json.Unmarshal([]byte(line), &l); err != nil || l.Time == "" || l.Level == "" ||
			l.Msg == "" {
			w.t.Errorf("%s: a line is not of the log: %q %v", w.name, line, err)
		}
	}
}

// alertsOfTheRunbook are the alerts that have a section.
func alertsOfTheRunbook(t *testing.T) (names []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^### (Sidecar\w+)$`).
		FindAllStringSubmatch(runbook(t), -1) {
		names = append(names, m[1])
	}
	return names
}
