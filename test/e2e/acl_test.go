package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"sidecar/test/redisd"
)

// An ACL that forbids a command of the protocol makes the cache colder, never wrong, and /status
// gives the reason.
func TestAnACLThatForbidsACommandMakesTheCacheColderAndNeverWrong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		rules  []any
		says   string // in /status
		memory bool   // is still used
		hits   bool
	}{
		{"pub/sub", []any{"-subscribe", "-ssubscribe", "-psubscribe"}, "not heard", false, true},
		{"publish", []any{"-publish"}, "not heard", false, true},
		{"channels", []any{"resetchannels"}, "not heard", false, true},
		{"INFO", []any{"-info"}, "INFO replication", true, true},
		{"scripts", []any{"-evalsha", "-eval"}, "NOPERM", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			api, _ := counting(t, "")
			r := redisd.Start(t)
			r.Do(append([]any{"ACL", "SETUSER", "default"}, c.rules...)...)
			s := &stack{t: t, redis: r, api: api}
			s.sidecar, s.url, s.ops = startSidecar(t, api, r.Addr(),
				policiesFile(t, memoryPolicies), "BREAKER_TIMEOUT=300ms")
			if c.hits {
				awaitThat(t, "there is a hit", func() bool { return s.get("/items/1").hit() })
			}
			if c.memory {
				s.awaitMemory("/items/1")
			}
			for range 20 {
				old := s.get("/items/1")
				if !c.memory && containsAll(old.cache(), "detail=memory") {
					t.Fatalf("answered %q though pushes are not heard", old.cache())
				}
				if a := do(t, http.MethodPut, s.url+"/items/1", "x",
					sameHost); a.status != http.StatusOK {
					t.Fatalf("PUT: %d %s", a.status, a.body)
				}
				if a := s.get("/items/1"); string(a.body) == string(old.body) {
					t.Fatalf("after a write: %q %s", a.cache(), a.body)
				}
			}
			began := time.Now()
			// while echoes fail, the breaker counts
			awaitThat(t, "two seconds have passed", func() bool {
				if a := s.get("/items/1"); c.hits && containsAll(a.cache(), "breaker-open") {
					t.Fatalf("what memory lacks takes the whole cache away: %q", a.cache())
				}
				return time.Since(began) > 2*time.Second
			})
			var status struct {
				Reasons []string `json:"reasons"`
			}
			awaitThat(t, "/status says why", func() bool {
				if err := json.Unmarshal(do(t, http.MethodGet, s.ops+"/status", nil).body,
					&status); err != nil {
					t.Fatal(err)
				}
				return containsAll(strings.Join(status.Reasons, "; "), c.says)
			})
		})
	}
}

// The ACL of docs/redis.md is enough for everything that the cache does.
func TestTheACLOfTheDocsIsEnough(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?m)^redis-cli ACL SETUSER cache ((?:.*\\\\\n)*.*)$").
		FindSubmatch(content)
	if m == nil {
		t.Fatal("docs/redis.md says nothing of an ACL")
	}
	api, _ := counting(t, "")
	cache, jobs := redisd.Start(t), redisd.Start(t)
	rules := []any{"ACL", "SETUSER", "cache", "reset"}
	for _, rule := range strings.Fields(strings.NewReplacer("PREFIX", "sidecar", "\\\n", " ",
		"PASSWORD", "secret", "'", "").Replace(string(m[1]))) {
		rules = append(rules, rule)
	}
	cache.Do(rules...)
	s := &stack{t: t, redis: cache, api: api}
	s.sidecar, s.url, s.ops = startSidecar(t, api, cache.Addr(), policiesFile(t, memoryPolicies),
		"REDIS_USERNAME=cache", "REDIS_PASSWORD=secret", "JOBS_REDIS_HOST="+jobs.Host(),
		"JOBS_REDIS_PORT="+jobs.Port())
	old := s.awaitMemory("/items/1")
	do(t, http.MethodPut, s.url+"/items/1", "x", sameHost)
	if a := s.awaitMemory("/items/1"); string(a.body) == string(old.body) {
		t.Errorf("after a write: %q %s", a.cache(), a.body)
	}
	if log := cache.Do("ACL", "LOG"); len(log.([]any)) > 0 {
		t.Errorf("Redis refused: %v", log)
	}
}

// The ACL of docs/redis.md is enough for everything that jobs do.
func TestTheACLOfTheDocsIsEnoughForJobs(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?m)^redis-cli ACL SETUSER jobs ((?:.*\\\\\n)*.*)$").
		FindSubmatch(content)
	if m == nil {
		t.Fatal("docs/redis.md says nothing of an ACL for jobs")
	}
	api, _ := counting(t, "")
	cache, store := redisd.Start(t), redisd.Start(t)
	rules := []any{"ACL", "SETUSER", "jobs", "reset"}
	for _, rule := range strings.Fields(strings.NewReplacer("PREFIX", "sidecar", "\\\n", " ",
		"PASSWORD", "secret", "'", "").Replace(string(m[1]))) {
		rules = append(rules, rule)
	}
	store.Do(rules...)
	s := &stack{t: t, redis: cache, api: api}
	policies := policiesFile(t,
		`{version: 1, routes: [{match: "POST /items/{id}", job: {mode: always, max_running: 1}}],
  schedules: [{name: tick, cron: "@every 1s", request: {path: /tick, headers: {Authorization: x}}}]}`)
	s.sidecar, s.url, s.ops = startSidecar(t, api, cache.Addr(), policies,
		"JOBS_REDIS_USERNAME=jobs", "JOBS_REDIS_PASSWORD=secret", "JOBS_REDIS_HOST="+store.Host(),
		"JOBS_REDIS_PORT="+store.Port())
	awaitThat(t, "a job is accepted", func() bool {
		return do(t, http.MethodPost, s.url+"/items/1", "x", sameHost).status == http.StatusAccepted
	})
	a := do(t, http.MethodPost, s.url+"/items/1", "x", sameHost)
	if j := s.awaitJob(a, sameHost); j.Status != "succeeded" {
		t.Errorf("%+v", j)
	}
	awaitThat(t, "a schedule has run",
		func() bool { return store.Do("HGET", "sidecar:js:{tick}", "last") != nil })
	list := do(t, http.MethodGet, s.ops+"/admin/jobs", nil, "Authorization: Bearer "+adminToken)
	if list.status != http.StatusOK {
		t.Errorf("the listing: %d %s", list.status, list.body)
	}
	if log := store.Do("ACL", "LOG"); len(log.([]any)) > 0 {
		t.Errorf("Redis refused: %v", log)
	}
}

// Foreign values under our keys, of any type, make the cache colder.
func TestAStrangerUnderThePrefixMakesTheCacheColderAndNeverWrong(t *testing.T) {
	t.Parallel()
	api, _ := counting(t, "")
	s := startBefore(t, api, policiesFile(t, memoryPolicies))
	client := s.redis.Client()
	for round := range 4 {
		awaitThat(t, "there is a hit", func() bool { return s.get("/items/1").hit() })
		keys, err := client.Keys(t.Context(), "sidecar:*").Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			switch client.Del(t.Context(), key); round % 4 {
			case 0:
				client.Set(t.Context(), key, "stranger", time.Second)
			case 1:
				client.LPush(t.Context(), key, "stranger")
				client.PExpire(t.Context(), key, time.Second)
			case 2:
				client.Set(t.Context(), key, strings.Repeat("\x00", 16), time.Second)
			case 3:
				client.ZAdd(t.Context(), key)
			}
		}
		client.Publish(t.Context(), "sidecar:invalidated", "what is this?")
		for range 10 {
			old := s.get("/items/1")
			do(t, http.MethodPut, s.url+"/items/1", "x", sameHost)
			if a := s.get("/items/1"); string(a.body) == string(old.body) {
				t.Fatalf("round %d: after a write: %q %s", round, a.cache(), a.body)
			}
		}
	}
	awaitThat(t, "there is a hit again", func() bool { return s.get("/items/1").hit() })
}
