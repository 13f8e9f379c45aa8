package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const memoryPolicies = `version: 1
routes:
  - {name: item, match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, memory: 1h, tags: ["item:{id}"]}}
  - {match: "PUT /items/{id}", invalidate: ["item:{id}"]}
`

// counting is a backend whose answers are numbered.
func counting(t *testing.T, padding string) (url string, reads *atomic.Int64) {
	reads = new(atomic.Int64)
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprintf(w, "answer %d%s", reads.Add(1), padding)
		}
	}))
	t.Cleanup(b.Close)
	return b.URL, reads
}

func (s *stack) get(path string) answer {
	return do(s.t, http.MethodGet, s.url+path, nil, sameHost)
}

// awaitMemory reads a path until it is answered from memory.
func (s *stack) awaitMemory(path string) (a answer) {
	s.t.Helper()
	awaitThat(s.t, path+" is answered from memory", func() bool {
		a = s.get(path)
		return a.hit() && containsAll(a.cache(), "detail=memory")
	})
	return a
}

func TestAHitFromMemoryDoesNotTouchRedis(t *testing.T) {
	t.Parallel()
	api, _ := counting(t, "")
	s := startBefore(t, api, policiesFile(t, memoryPolicies),
		"JOBS_REDIS_EMBEDDED=true") // whose workers send commands of their own
	s.awaitMemory("/items/1")
	m := watch(t, s.redis)
	var seen []string
	// on a busy machine echoes come late
	awaitThat(t, "twenty answers in a row are from memory", func() bool {
		m.names(t, s.redis)
		for range 20 {
			if a := s.get("/items/1"); !containsAll(a.cache(), "detail=memory") {
				return false
			}
		}
		seen = m.names(t, s.redis)
		return true
	})
	// Echoes tell the sidecar that it has caught up.
	seen = slices.DeleteFunc(seen, func(name string) bool { return name == "publish" })
	if len(seen) > 0 {
		t.Errorf("Redis sees %q", seen)
	}
}

func TestAWriteIsSeenInMemoryAtOnceWhereItWasTakenAndElsewhereWhenItIsHeardOf(t *testing.T) {
	t.Parallel()
	api, _ := counting(t, "")
	sidecars := three(t, api, memoryPolicies)
	for round := range 10 {
		var old []string
		for _, s := range sidecars {
			old = append(old, string(s.awaitMemory("/items/1").body))
		}
		do(t, http.MethodPut, sidecars[0].url+"/items/1", "x", sameHost)
		if a := sidecars[0].get("/items/1"); slices.Contains(old, string(a.body)) {
			t.Fatalf("round %d: the sidecar that took the write answers %q with %q",
				round, a.cache(), a.body)
		}
		for i, s := range sidecars[1:] {
			awaitThat(t, fmt.Sprintf("sidecar %d hears of the write", i+1),
				func() bool { return !slices.Contains(old, string(s.get("/items/1").body)) })
		}
	}
}

func TestASidecarThatWasFrozenAnswersNothingFromMemoryUntilItHasCaughtUp(t *testing.T) {
	t.Parallel()
	api, _ := counting(t, "")
	sidecars := three(t, api, memoryPolicies)
	for range 3 {
		old := sidecars[1].awaitMemory("/items/1")
		sidecars[1].sidecar.Signal(syscall.SIGSTOP)
		do(t, http.MethodPut, sidecars[0].url+"/items/1", "x", sameHost)
		time.Sleep(700 * time.Millisecond) // longer than the sidecar may go without an echo
		sidecars[1].sidecar.Signal(syscall.SIGCONT)
		if a := sidecars[1].get("/items/1"); string(a.body) == string(old.body) {
			t.Errorf("thawed, it answers %q with what was written over meanwhile", a.cache())
		}
	}
}

// A sidecar that is cut off from Redis hears of no invalidation: it answers nothing from memory.
func TestWhileRedisIsFrozenMemoryAnswersNothing(t *testing.T) {
	t.Parallel()
	api, _ := counting(t, "")
	s := startBefore(t, api, policiesFile(t, memoryPolicies), hasty("BREAKER_TIMEOUT=300ms")...)
	s.awaitMemory("/items/1")
	s.redis.Freeze()
	awaitThat(t, "nothing is answered from memory", func() bool { return !s.get("/items/1").hit() })
	for range 20 {
		if a := s.get("/items/1"); a.hit() {
			t.Fatalf("cut off, it answers %q", a.cache())
		}
	}
	s.redis.Thaw()
	s.awaitMemory("/items/1")
}

func TestMemoryStaysWithinItsBoundAndAScanDoesNotEvictWhatIsHot(t *testing.T) {
	t.Parallel()
	const limit = 4 << 20
	api, _ := counting(t, strings.Repeat("x", 8<<10))
	s := startBefore(t, api, policiesFile(t, memoryPolicies),
		fmt.Sprintf("MEMORY_CACHE_SIZE=%d", limit))
	hot := func(i int) string { return fmt.Sprintf("/items/hot%d", i%20) }
	for i := range 20 {
		s.awaitMemory(hot(i))
		s.awaitMemory(hot(i))
	}
	bytes := regexp.MustCompile(`(?m)^sidecar_memory_bytes (\S+)$`)
	most := 0.0
	for i := range 2500 { // 20 MB go by
		s.get(fmt.Sprintf("/items/cold%d", i))
		if i%5 == 0 {
			s.get(hot(i / 5))
		}
		if i%100 == 0 {
			m := bytes.FindSubmatch(do(t, http.MethodGet, s.ops+"/metrics", nil).body)
			if m == nil {
				t.Fatal("no metric says how much memory holds")
			}
			n, err := strconv.ParseFloat(string(m[1]), 64)
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, n)
		}
	}
	if most > limit || most < limit/4 {
		t.Errorf("memory held %.0f bytes at the most, want up to %d", most, limit)
	}
	kept := 0
	for i := range 20 {
		if a := s.get(hot(i)); containsAll(a.cache(), "detail=memory") {
			kept++
		}
	}
	if kept < 15 {
		t.Errorf("%d of 20 hot entries outlived a scan", kept)
	}
}

func TestMemoryCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	api, _ := counting(t, "")
	s := startBefore(t, api, policiesFile(t, memoryPolicies), "MEMORY_CACHE_SIZE=0")
	awaitThat(t, "it is a hit", func() bool { return s.get("/items/1").hit() })
	for range 20 {
		if a := s.get("/items/1"); !containsAll(a.cache(), "detail=redis") {
			t.Fatalf("answered %q", a.cache())
		}
	}
}
