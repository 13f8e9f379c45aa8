package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// A gate stands between sidecar and backend. It counts requests, and can hold answers to GETs
// back after the backend has made them.
type gate struct {
	*httptest.Server
	mu       sync.Mutex
	requests map[string]int // by method and path
	statuses map[string]int // by method, path and status
	hold     chan struct{}  // answers wait until it is closed; nil: nothing is held
	held     chan struct{}  // has an element for each answer that waits
}

func newGate(t *testing.T, backend string) *gate {
	t.Helper()
	target, err := url.Parse(backend)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{
		requests: map[string]int{}, statuses: map[string]int{}, held: make(chan struct{}, 16),
	}
	through := httputil.NewSingleHostReverseProxy(target)
	through.ModifyResponse = func(resp *http.Response) error {
		asked := resp.Request.Method + " " + resp.Request.URL.Path
		g.mu.Lock()
		g.statuses[fmt.Sprint(asked, " ", resp.StatusCode)]++
		hold := g.hold
		g.mu.Unlock()
		if hold != nil && resp.Request.Method == http.MethodGet {
			g.held <- struct{}{}
			<-hold
		}
		return nil
	}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.requests[r.Method+" "+r.URL.Path]++
		g.mu.Unlock()
		through.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Server.Close)
	return g
}

// asked is how many requests to this method and path have come.
func (g *gate) asked(what string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.requests[what]
}

// answered is how many requests to this method and path the backend has answered with status.
func (g *gate) answered(what string, status int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.statuses[fmt.Sprint(what, " ", status)]
}

// shut holds answers from now on; the function that it returns lets them go.
func (g *gate) shut() (open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	hold := make(chan struct{})
	g.hold = hold
	return sync.OnceFunc(func() {
		g.mu.Lock()
		g.hold = nil
		g.mu.Unlock()
		close(hold)
	})
}

func TestAnAcknowledgedWriteIsSeenByTheNextReadThoughAnOldReadIsStillUnderWay(t *testing.T) {
	t.Parallel()
	_, api := startGame(t)
	g := newGate(t, api)
	s := startBefore(t, g.URL, shippedPolicies(t))
	thorin := login(t, s.url, "thorin")
	character := s.url + "/api/v1/characters/c1"

	for round := range 5 {
		name := fmt.Sprintf("Thorin %d", round)
		// nothing is stored
		do(t, http.MethodPatch, character, map[string]string{"name": "Nobody"}, thorin)
		open := g.shut()
		old := make(chan answer, 1)
		go func() { old <- do(t, http.MethodGet, character, nil, thorin) }()
		<-g.held // the API has read the old name

		if a := do(t, http.MethodPatch, character, map[string]string{"name": name},
			thorin); a.status != http.StatusOK {
			t.Fatalf("PATCH: %d %s", a.status, a.body)
		}
		open()
		if a := <-old; a.status != http.StatusOK || a.hit() ||
			strings.Contains(string(a.body), name) {
			t.Fatalf("the held read: %d %q: %s", a.status, a.cache(), a.body)
		}
		fresh := do(t, http.MethodGet, character, nil, thorin)
		if !strings.Contains(string(fresh.body), name) {
			t.Fatalf("after the write was acknowledged a read answers %q: %s",
				fresh.cache(), fresh.body)
		}
		again := do(t, http.MethodGet, character, nil, thorin)
		if !again.hit() || !strings.Contains(string(again.body), name) {
			t.Fatalf("the read after that is no hit: %q: %s", again.cache(), again.body)
		}
	}
}

// The answer names the characters whose writes make it old; nobody knew them when it was asked for.
func TestAWriteToSomethingThatOnlyTheAnswerNamesIsSeenThoughTheAnswerIsStillUnderWay(t *testing.T) {
	t.Parallel()
	_, api := startGame(t)
	g := newGate(t, api)
	s := startBefore(t, g.URL, shippedPolicies(t))
	thorin := login(t, s.url, "thorin")
	players := s.url + "/api/v1/sessions/s1/players"
	open := g.shut()
	old := make(chan answer, 1)
	go func() { old <- do(t, http.MethodGet, players, nil, thorin) }()
	<-g.held
	if a := do(t, http.MethodPatch, s.url+"/api/v1/characters/c1",
		map[string]string{"name": "Renamed"}, thorin); a.status != http.StatusOK {
		t.Fatalf("PATCH: %d %s", a.status, a.body)
	}
	open()
	if a := <-old; strings.Contains(string(a.body), "Renamed") {
		t.Fatalf("the held answer is new: %s", a.body)
	}
	for range 3 {
		if a := do(t, http.MethodGet, players, nil,
			thorin); !strings.Contains(string(a.body), "Renamed") {
			t.Fatalf("after the write was acknowledged: %q %s", a.cache(), a.body)
		}
	}
	if a := do(t, http.MethodGet, players, nil, thorin); !a.hit() {
		t.Errorf("the names were not learned: %q", a.cache())
	}
}

func TestTwoCallersAndTwoRolesNeverSeeEachOthersAnswers(t *testing.T) {
	t.Parallel()
	s := start(t)
	users := map[string]string{}
	for _, name := range []string{"thorin", "lyra", "dm"} {
		users[name] = login(t, s.url, name)
	}
	for _, path := range []string{
		"/api/v1/users/me", "/api/v1/characters", "/api/v1/sessions", "/api/v1/npcs",
		"/api/v1/characters/c1",
	} {
		for range 2 { // filled, and then hit
			for _, name := range []string{"thorin", "lyra", "dm"} {
				through, direct := do(t, http.MethodGet, s.url+path, nil, users[name]),
					do(t, http.MethodGet, s.api+path, nil, users[name])
				if through.status != direct.status || string(through.body) != string(direct.body) {
					t.Errorf("%s of %s answers %q %d %s, the API %d %s", path, name,
						through.cache(), through.status, through.body, direct.status, direct.body)
				}
			}
		}
		if a := do(t, http.MethodGet, s.url+path, nil); a.status != http.StatusUnauthorized ||
			a.hit() {
			t.Errorf("%s without a token: %d %q", path, a.status, a.cache())
		}
		if a := do(t, http.MethodGet, s.url+path, nil,
			users["thorin"]+"x"); a.status != http.StatusUnauthorized ||
			!strings.Contains(a.cache(), "token-invalid") {
			t.Errorf("%s with a forged token: %d %q", path, a.status, a.cache())
		}
	}
	if hit := do(t, http.MethodGet, s.url+"/api/v1/users/me", nil, users["lyra"]); !hit.hit() {
		t.Errorf("nothing was cached: %q", hit.cache())
	}
}

// effects is the content of examples/gameapi/testdata/effects.txt: all reads, and all writes in
// their order.
type effects struct {
	reads  []string
	writes []gameWrite
}

type gameWrite struct{ who, method, path, body string }

func readEffects(t *testing.T) (e effects) {
	t.Helper()
	content, err := os.ReadFile("../../examples/gameapi/testdata/effects.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimRight(line, "\n")
		parts := strings.SplitN(line, " ", 4)
		switch {
		case line == "", line[0] == '#', line[0] == '\t':
		case parts[0] == "read":
			e.reads = append(e.reads, parts[1])
		case len(parts) >= 3:
			e.writes = append(e.writes,
				gameWrite{parts[0], parts[1], parts[2], strings.Join(parts[3:], "")})
		default:
			t.Fatalf("effects.txt: %q", line)
		}
	}
	if len(e.reads) < 10 || len(e.writes) < 10 {
		t.Fatalf("effects.txt has %d reads and %d writes", len(e.reads), len(e.writes))
	}
	return e
}

// A day of the game: four users read all that there is after every write that there is, and every
// answer is compared with the API's own from its database. Over half of all GETs have to be hits.
func TestInADayOfTheGameEveryReadIsFreshAndMostAreHits(t *testing.T) {
	t.Parallel()
	s := start(t)
	e := readEffects(t)
	names := []string{"thorin", "lyra", "mara", "dm"}
	users := map[string]string{}
	for _, name := range names {
		users[name] = login(t, s.url, name)
	}
	hits, gets := 0, 0
	compare := func(after string) {
		t.Helper()
		for _, path := range e.reads {
			for _, name := range names {
				through := do(t, http.MethodGet, s.url+"/api/v1"+path, nil, users[name])
				direct := do(t, http.MethodGet, s.api+"/api/v1"+path, nil, users[name])
				if through.status != direct.status || string(through.body) != string(direct.body) {
					t.Errorf("after %s, %s reads %s: %q %.200q, but the API says %.200q",
						after, name, path, through.cache(), through.body, direct.body)
				}
				if gets++; through.hit() {
					hits++
				}
			}
		}
	}
	compare("the start")
	compare("the start")
	for _, w := range e.writes {
		a := do(t, w.method, s.url+"/api/v1"+w.path, w.body, users[w.who],
			"Content-Type: application/json")
		if a.status >= 400 {
			t.Fatalf("%s %s %s: %d %s", w.who, w.method, w.path, a.status, a.body)
		}
		if a.status == http.StatusAccepted {
			s.awaitJob(a, users[w.who])
		}
		compare(fmt.Sprint(w))
	}
	if 2*hits < gets {
		t.Errorf("%d hits of %d reads: with so few the comparison proves little", hits, gets)
	}
	t.Logf("%d hits of %d reads, %d writes", hits, gets, len(e.writes))
}

func TestAnInvalidationThatMetAFrozenRedisIsMadeGoodBeforeAnythingIsServed(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]bool{
		"sent, and its outcome unknown": true, "never sent, since the breaker was open": false,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, api := startGame(t)
			s := startBefore(t, api, shippedPolicies(t), hasty("BREAKER_TIMEOUT=300ms")...)
			thorin := login(t, s.url, "thorin")
			character := s.url + "/api/v1/characters/c1"
			awaitThat(t, "there is a hit", func() bool {
				return do(t, http.MethodGet, character, nil, thorin).hit()
			})
			s.redis.Freeze()
			if !sent {
				awaitThat(t, "the breaker is open", func() bool {
					return strings.Contains(do(t, http.MethodGet, character, nil, thorin).cache(),
						"breaker-open")
				})
			}
			if a := do(t, http.MethodPatch, character,
				map[string]string{"name": "Written while frozen"},
				thorin); a.status != http.StatusOK {
				t.Fatalf("PATCH: %d", a.status)
			}
			s.redis.Thaw() // with all its data: the old entry among it
			hits := 0
			awaitThat(t, "there are hits again", func() bool {
				a := do(t, http.MethodGet, character, nil, thorin)
				if !strings.Contains(string(a.body), "Written while frozen") {
					t.Fatalf("an old answer, %q: %s", a.cache(), a.body)
				}
				if a.hit() {
					hits++
				}
				return hits >= 3
			})
		})
	}
}

func TestTwoSidecarsOnOneRedisInvalidateForEachOther(t *testing.T) {
	t.Parallel()
	_, api := startGame(t)
	server := redisd.Start(t)
	var urls []string
	for range 2 {
		_, data, opsURL := startSidecar(t, api, server.Addr(), shippedPolicies(t))
		(&stack{t: t, ops: opsURL}).awaitCaching()
		urls = append(urls, data)
	}
	thorin := login(t, urls[0], "thorin")
	path := "/api/v1/characters/c1"
	do(t, http.MethodGet, urls[0]+path, nil, thorin)
	proc.Await(t, 30*time.Second, func() error {
		if a := do(t, http.MethodGet, urls[1]+path, nil, thorin); !a.hit() {
			return fmt.Errorf("the other sidecar does not hit what the one stored: %q", a.cache())
		}
		return nil
	})
	for i := range 20 {
		name := fmt.Sprintf("Thorin %d", i)
		do(t, http.MethodPatch, urls[i%2]+path, map[string]string{"name": name}, thorin)
		for _, u := range []string{urls[(i+1)%2], urls[i%2]} {
			if a := do(t, http.MethodGet, u+path, nil,
				thorin); !strings.Contains(string(a.body), name) {
				t.Fatalf("write %d is not seen by a sidecar: %q %s", i, a.cache(), a.body)
			}
		}
	}
}

// Where the jobs' Redis is the embedded one and the cache's is not, the cache's may still come back
// with older data.
func TestACacheIsGreetedAlsoBesideAnEmbeddedJobStore(t *testing.T) {
	t.Parallel()
	api, _ := counting(t, "")
	s := startBefore(t, api, policiesFile(t, itemPolicies), "JOBS_REDIS_EMBEDDED=true")
	awaitThat(t, "the sidecar has met its Redis",
		func() bool { return s.redis.Do("SCARD", "sidecar:known:{all}") == int64(1) })
}
