package observe

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/policy"
)

// A world is an API that is observed.
type world struct {
	t        *testing.T
	recorder *Recorder
	url      string
}

func watch(t *testing.T, api http.Handler, b Bounds) *world {
	t.Helper()
	recorder, err := New([]byte("a secret for tests"), b)
	if err != nil {
		t.Fatal(err)
	}
	recorder.began = recorder.began.Add(-time.Hour) // a ttl that no machine is too slow for
	server := httptest.NewServer(recorder.Handler(api))
	t.Cleanup(server.Close)
	return &world{t, recorder, server.URL}
}

// do sends a request and reads its answer. fields are "Name: value".
func (w *world) do(method, target string, fields ...string) {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+target, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		w.t.Fatal(err)
	}
}

// proposed is the file, once n requests have been observed.
func (w *world) proposed(n int) string {
	w.t.Helper()
	w.await(func(seen int, _ string) bool { return seen >= n }) // a client may be faster
	out := string(w.recorder.Propose().Bytes())
	if _, _, err := policy.Load([]byte(out), policy.Options{File: "policies.yaml"}); err != nil {
		w.t.Errorf("%v\n%s", err, out)
	}
	return out
}

// await waits for what has been observed.
func (w *world) await(is func(seen int, full string) bool) {
	w.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !is(w.recorder.Seen()) {
		if time.Now().After(deadline) {
			seen, full := w.recorder.Seen()
			w.t.Fatalf("only %d requests were observed; full: %q", seen, full)
		}
		time.Sleep(time.Millisecond)
	}
}

// route is the part of a file about one match: its comment and its lines.
func route(t *testing.T, file, match string) string {
	t.Helper()
	for part := range strings.SplitSeq(file, "\n\n") {
		if strings.Contains(part, "match: "+match+"\n") {
			return part
		}
	}
	t.Errorf("there is no %s in\n%s", match, file)
	return ""
}

// joined is a text without the ends of lines in comments.
func joined(s string) string { return lineOfProse.ReplaceAllString(s, " $1") }

var lineOfProse = regexp.MustCompile(`\n  # (\S)`)

func expect(t *testing.T, text string, want ...string) {
	t.Helper()
	for _, s := range want {
		if not, ok := strings.CutPrefix(s, "!"); ok {
			if strings.Contains(joined(text), not) {
				t.Errorf("%q is in\n%s", not, text)
			}
		} else if !strings.Contains(joined(text), s) {
			t.Errorf("%q is not in\n%s", s, text)
		}
	}
}

// shop is an API with some kinds of answers. A PUT of an item changes it, and a POST to /sale
// changes all.
func shop() http.Handler {
	var mu sync.Mutex
	versions, all, clock := map[string]int{}, 0, 0
	mux := http.NewServeMux()
	item := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(
			w,
			`{"id": %q, "version": %d, "sale": %d}`,
			r.PathValue("id"),
			versions[r.PathValue("id")],
			all,
		)
	}
	mux.HandleFunc("GET /items/{id}", item)
	mux.HandleFunc("PUT /items/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		versions[r.PathValue("id")]++
	})
	mux.HandleFunc("POST /sale", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		all++
	})
	mux.HandleFunc("POST /nothing", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc(
		"POST /refused",
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) },
	)
	mux.HandleFunc("GET /moment", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		clock++
		fmt.Fprintf(w, `{"moment": %d}`, clock)
	})
	mux.HandleFunc("GET /slowly", func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		clock++
		fmt.Fprintf(w, `{"slowly": %d}`, clock/20)
	})
	mux.HandleFunc("GET /mine", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"for": %q}`, r.Header.Get("Authorization"))
	})
	text := func(fields ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for _, f := range fields {
				name, value, _ := strings.Cut(f, ": ")
				w.Header().Add(name, value)
			}
			_, _ = w.Write([]byte(`{"always": "the same"}`))
		}
	}
	mux.HandleFunc("GET /lie", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		fmt.Fprintf(w, `{"for": %q}`, r.Header.Get("Authorization"))
	})
	mux.HandleFunc("GET /same", text())
	mux.HandleFunc("GET /public", text("Cache-Control: public, max-age=60"))
	mux.HandleFunc("GET /secret", text("Cache-Control: no-store"))
	mux.HandleFunc("GET /session", text("Set-Cookie: sid=geheim; Path=/",
		"Set-Cookie: csrf_token=geheim"))
	mux.HandleFunc("GET /form", text("Set-Cookie: csrf_token=geheim"))
	mux.HandleFunc("GET /health", text())
	mux.HandleFunc("GET /odd", text("Vary: *"))
	return mux
}

func TestEvidenceAndWhatFollowsFromIt(t *testing.T) {
	w := watch(t, shop(), DefaultBounds)
	ask := 0
	do := func(method, target string, fields ...string) {
		t.Helper()
		ask++
		w.do(method, target, fields...)
	}
	for round := range 10 {
		for id := range 4 {
			for range 2 {
				do("GET", fmt.Sprintf("/items/%d?token=geheim&page=1&geheim9=1", 7000+id))
			}
		}
		do("PUT", "/items/7001")
		do("PUT", "/items/7002?refused")
		if round%3 == 0 {
			do("POST", "/sale?key=geheim")
		}
		do("POST", "/nothing")
		do("POST", "/refused")
		for _, path := range strings.Fields("/moment /slowly /secret /session /health /odd /none") {
			do("GET", path)
			do("GET", path)
		}
		do("GET", "/form", "Cookie: csrf_token=a")
		do("GET", "/form")
		for _, user := range []string{"alice", "bob"} {
			for _, path := range []string{"/mine", "/same", "/public", "/lie"} {
				do("GET", path, "Authorization: Bearer geheim-"+user)
			}
		}
		do("GET", "/mine", "Authorization: Bearer geheim-alice", "X-Vault-Token: geheim")
	}
	file := w.proposed(ask)
	for _, secret := range []string{"geheim", "7001", "alice"} {
		if strings.Contains(file, secret) {
			t.Errorf("it tells %q:\n%s", secret, file)
		}
	}
	expect(t, file, "Of the names: X-Vault-Token.", "10 requests had fields")
	for match, want := range map[string][]string{
		"GET /items/{id}": {
			"\n  - name: items_id\n", "parameters: page, token.", "without credentials",
			`cache: {scope: private, ttl: 5m, tags: ["items:{id|int}"]}`,
			"Asked again with no write between, it was the same 58 of 58 times",
			"with one, another 18 of 18 times, last after PUT /items/{id} (6), POST /sale (12).",
			"Expected: 73 % hits", "!Two callers",
		},
		"PUT /items/{id}": {
			"\n  - name: items_id_put\n", `- "items:{id|int}"`,
			"10 requests. Last before a change of GET /items/{id} (6)",
		},
		"POST /sale": {
			"\n  - name: sale_post\n", `- "items:*"`, "was seen, and does not follow from its path",
		},
		"GET /moment": {"\n  #- name: moment\n", "another each time, by itself", "!Expected"},
		"GET /slowly": {
			"\n  #- name: slowly\n", "2 times with no write that explains it.", "!Expected",
		},
		"GET /mine": {
			"\n  - name: mine\n", "scope: private", "different answers 19 of 19 times",
		},
		"GET /same": {
			"\n  - name: same\n", "scope: private, ttl: 5m", "same answer 19 of 19 times",
			"Expected: 90 % hits", "would have about 95 % hits", "!caller alone",
		},
		"GET /public": {
			"\n  - name: public\n", `cache: {scope: shared, tags: ["public"]}`,
			"for everybody (public)", "Expected: 95 % hits",
		},
		"GET /lie": {
			"\n  - name: lie\n", `cache: {scope: private, tags: ["lie"]}`,
			"different answers 19 of 19 times",
		},
		"GET /secret": {
			"\n  #- name: secret\n", "20 of 20 answers would not be stored (no-store",
		},
		"GET /session": {"\n  #- name: session\n", "set a cookie (csrf_token, sid)"},
		"GET /form": {
			"\n  - name: form\n", `set_cookie: {drop: ["csrf_token"]}`, "Expected: 45 % hits",
		},
		"GET /health": {"\n  #- name: health\n", "It held still here"},
		"GET /odd":    {"\n  #- name: odd\n", "would not be stored (vary-any"},
	} {
		expect(t, route(t, file, match), want...)
	}
	expect(t, file, "!/none", "!/refused",
		"These writes invalidate nothing above, and were not seen to change it: POST /nothing.")
}

// A route that is rarely seen is not proposed.
func TestLittleEvidenceIsASuggestion(t *testing.T) {
	w := watch(t, shop(), DefaultBounds)
	for range 4 {
		w.do("GET", "/same")
	}
	for i := range 30 { // each once
		w.do("GET", fmt.Sprintf("/items/%d", i))
	}
	file := w.proposed(34)
	expect(t, route(t, file, "GET /same"), "#- name: same", "too few requests")
	expect(t, route(t, file, "GET /items/{id}"), "#- name: items_id",
		"seen to hold still only 0 times")
	expect(t, file, "routes: []")
}

func TestAWatchEndsAtItsBounds(t *testing.T) {
	for name, c := range map[string]struct {
		bounds Bounds
		seen   int
	}{
		"8 requests": {Bounds{8, 100, 100}, 8},
		"3 paths":    {Bounds{100, 3, 100}, 3},
		"4 callers":  {Bounds{100, 100, 4}, 4},
	} {
		w := watch(t, shop(), c.bounds)
		for i := range 20 {
			w.do(
				"GET",
				fmt.Sprintf("/items/%d", i%(2*c.bounds.Paths)),
				fmt.Sprintf("Authorization: Bearer %d", i%(2*c.bounds.Callers)),
			)
		}
		w.await(func(_ int, full string) bool { return full != "" })
		if seen, full := w.recorder.Seen(); seen != c.seen || full != "the bound of "+name {
			t.Errorf("%s: %d were observed, and then %q", name, seen, full)
		}
		expect(t, w.proposed(0), "# Not all traffic was observed: the bound of "+name+" was "+
			"reached.")
	}
}

// No part of a request's head is kept: a long query stays nowhere.
func TestAQueryTakesNoMemory(t *testing.T) {
	w := watch(t, shop(), DefaultBounds)
	const many, long = 600, 16 << 10
	before := heap()
	for i := range many {
		target := fmt.Sprintf("/items/%d?page=%s", i, strings.Repeat("x", long))
		if i%2 == 0 {
			w.do("GET", target)
		} else {
			w.do("GET", "/same?page="+strings.Repeat("x", long))
		}
	}
	w.await(func(seen int, _ string) bool { return seen >= many })
	if took := int64(heap()) - int64(before); took > many*long/4 {
		t.Errorf("%d requests with queries of %d bytes take %d bytes", many, long, took)
	}
	runtime.KeepAlive(w.recorder)
}

// heap is how many bytes are in use.
func heap() uint64 {
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	runtime.GC()
	runtime.GC() // pools are emptied by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// A token that is renewed is another caller to a cache that cannot verify it, and the same person
// where answers are compared.
func TestARenewedTokenIsTheSamePerson(t *testing.T) {
	api := http.NewServeMux()
	api.HandleFunc("GET /notes", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`["hay"]`))
	})
	w := watch(t, api, DefaultBounds)
	scheme := "Bearer "
	token := func(sub string, iat int) string {
		part := base64.RawURLEncoding.EncodeToString
		return "Authorization: " + scheme + part([]byte(`{"alg":"HS256"}`)) + "." +
			part(fmt.Appendf(nil, `{"sub":%q,"iat":%d,"exp":%d}`, sub, iat, iat+60)) + ".geheim"
	}
	for i := range 10 {
		w.do("GET", "/notes", token("alice", i))
		w.do("GET", "/notes", token("alice", i))
	}
	file := w.proposed(20)
	expect(t, file, "20 requests in", "by 1 caller with credentials", "10 tokens are those",
		"caller.jwt and the API's key it is the same", "!Bearer")
	// one person, so nobody else has got the same
	expect(t, route(t, file, "GET /notes"), "\n  - name: notes\n", "by 1 caller.",
		"it was the same 19 of 19 times", "Expected: 50 % hits", "one caller: 95 % hits",
		"!Two callers")
	for _, secret := range []string{"alice", "geheim", "eyJ"} {
		if strings.Contains(file, secret) {
			t.Errorf("it tells %q:\n%s", secret, file)
		}
	}

	// without Bearer it is one person too, but not to caller.jwt
	w, scheme = watch(t, api, DefaultBounds), ""
	for i := range 10 {
		w.do("GET", "/notes", token("alice", i))
		w.do("GET", "/notes", token("alice", i))
	}
	file = w.proposed(20)
	expect(t, file, "by 1 caller with credentials", "10 tokens are those",
		"caller.jwt changes nothing: they come without Bearer.")
	expect(t, route(t, file, "GET /notes"), "by 1 caller.", "it was the same 19 of 19 times",
		"Expected: 50 % hits", "!95 % hits", "!Two callers")

	w = watch(t, api, DefaultBounds)
	for i := range 3 {
		scheme = ""
		w.do("GET", "/notes", token("alice", i))
		scheme = "Bearer "
		w.do("GET", "/notes", token("alice", i))
	}
	expect(t, w.proposed(6), "6 tokens are those", "but for the 3")
}

// Where callers got the same answers by some URLs of a route, others may be one caller's own.
func TestWhatOneCallerAloneAskedForIsNamedWhereSharingIs(t *testing.T) {
	api := http.NewServeMux()
	api.HandleFunc("GET /notes/{id}", func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`"hay"`))
	})
	w := watch(t, api, DefaultBounds)
	alice, bob := "Authorization: Bearer alice", "Authorization: Bearer bob"
	for range 5 {
		w.do("GET", "/notes/1", alice)
		w.do("GET", "/notes/1", bob)
		w.do("GET", "/notes/2")
		w.do("GET", "/notes/3", alice)
		w.do("GET", "/notes/4", bob)
	}
	expect(t, route(t, w.proposed(25), "GET /notes/{id}"), "Two callers got the same",
		"one caller alone asked for 2 of 4 URLs")
}

// Some frameworks say of each answer that it is stale, or not to be stored. What the file suggests
// against it is valid, and never live.
func TestAHabitOfAFrameworkIsASuggestion(t *testing.T) {
	api := http.NewServeMux()
	says := func(pattern, cacheControl string) {
		api.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", cacheControl)
			_, _ = w.Write([]byte(`{"hay": 1}`))
		})
	}
	says("GET /rails/{id}", "max-age=0, private, must-revalidate")
	says("GET /spring/{id}", "no-cache, no-store, max-age=0, must-revalidate")
	says("GET /soon/{id}", "max-age=60")
	changing := 0
	api.HandleFunc("GET /changing/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		changing++
		fmt.Fprint(w, changing/10)
	})
	w := watch(t, api, DefaultBounds)
	for range 20 {
		for _, path := range strings.Fields("/rails/1 /spring/1 /soon/1 /changing/1") {
			w.do("GET", path, "Authorization: Bearer alice")
		}
	}
	file := w.proposed(80)
	expect(t, route(t, file, "GET /rails/{id}"), "#- name: rails_id",
		"ttl: 5m, override: true, tags",
		"Not live", "stale at once", "override: true has 95 % hits")
	expect(t, route(t, file, "GET /spring/{id}"), "#- name: spring_id",
		"ttl: 5m, response_directives: ignore, tags", "(no-store; see", "not to be stored",
		"response_directives: ignore has 95 % hits")
	expect(t, route(t, file, "GET /soon/{id}"), "\n  - name: soon_id", "!override", "95 % hits")
	expect(t, route(t, file, "GET /changing/{id}"), "#- name: changing_id", "!ignore", "!override")
	taken := strings.NewReplacer("\n  #-", "\n  -", "\n  #  ", "\n    ").Replace(file)
	if _, _, err := policy.Load([]byte(taken), policy.Options{File: "taken"}); err != nil {
		t.Errorf("%v\n%s", err, taken)
	}
}

// That an answer calls itself public is no proof while nobody else has asked.
func TestOneCallerIsNoReasonToShare(t *testing.T) {
	w := watch(t, shop(), DefaultBounds)
	for range 10 {
		w.do("GET", "/lie", "Authorization: Bearer alice")
		w.do("GET", "/public")
	}
	file := w.proposed(20)
	expect(t, route(t, file, "GET /lie"), "\n  - name: lie\n", "scope: private",
		"no two callers were seen to get the same")
	expect(t, route(t, file, "GET /public"), "\n  - name: public\n", "scope: shared")
}

func TestALongPathIsNotObserved(t *testing.T) {
	w := watch(t, shop(), DefaultBounds)
	w.do("GET", "/"+strings.Repeat("a", maxPath))
	w.do("GET", "/same")
	if seen := w.proposed(1); strings.Contains(seen, "aaa") || !strings.Contains(seen,
		"1 request with paths over 512 bytes") {
		t.Error(seen)
	}
}

// An answer passes as it comes, and the observer takes none of its handler's abilities.
func TestAnswersPassAsTheyCome(t *testing.T) {
	next := make(chan struct{})
	w := watch(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/switch" {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			_, _ = io.WriteString(conn,
				"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			return
		}
		w.Header().Set("Link", "</a>")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "first\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-next:
		case <-r.Context().Done():
		}
		_, _ = io.WriteString(w, "second\n")
	}), DefaultBounds)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := bufio.NewReader(resp.Body)
	if line, err := body.ReadString('\n'); line != "first\n" {
		t.Fatalf("%q, %v", line, err)
	}
	close(next)
	if line, err := body.ReadString('\n'); line != "second\n" || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %q, %v", resp.StatusCode, line, err)
	}
	w.do("GET", "/switch", "Connection: Upgrade", "Upgrade: x")
	file := w.proposed(2)
	expect(t, route(t, file, "GET /stream"), "#- name: stream", "too few requests")
	expect(t, route(t, file, "GET /switch"), "#- name: switch", "would not be stored (upgrade;")
}

// A client that leaves has seen no answer; a write of its may have been done.
func TestWhatABrokenRequestTells(t *testing.T) {
	var broken atomic.Bool
	api := shop()
	w := watch(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		api.ServeHTTP(w, r)
		if broken.Load() {
			panic(http.ErrAbortHandler)
		}
	}), DefaultBounds)
	breaks := func(method, path string) {
		broken.Store(true)
		defer broken.Store(false)
		r, err := http.NewRequestWithContext(t.Context(), method, w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultTransport.RoundTrip(r); err == nil {
			_ = resp.Body.Close()
		}
	}
	for range 4 {
		for range 4 {
			w.do("GET", "/items/1")
		}
		breaks("GET", "/items/1")
		breaks("PUT", "/items/1")
	}
	file := w.proposed(20)
	expect(t, route(t, file, "GET /items/{id}"), "16 GETs", "last after PUT /items/{id} (3)")
	expect(t, route(t, file, "PUT /items/{id}"), "4 requests")
}

// Many requests at once change nothing in the counts.
func TestRequestsAtOnce(t *testing.T) {
	w := watch(t, shop(), DefaultBounds)
	var clients sync.WaitGroup
	for c := range 8 {
		clients.Go(func() {
			for range 30 {
				w.do("GET", "/same", fmt.Sprintf("Authorization: Bearer %d", c))
			}
		})
	}
	clients.Wait()
	file := w.proposed(240)
	expect(t, file, "240 requests in ")
	m := regexp.MustCompile(`by 8 callers\.\n.*the same (\d+) of (\d+) times`).
		FindStringSubmatch(route(t, file, "GET /same"))
	if m == nil || m[1] != "232" || m[2] != "232" {
		t.Errorf("%s", file)
	}
}

// A write explains changes if they follow it and hardly anything else. Where it comes before nearly
// each request, that is chance.
func TestWhenAWriteExplainsAChange(t *testing.T) {
	var version atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /drift", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"version": %d}`, version.Load())
	})
	mux.HandleFunc("POST /other", func(http.ResponseWriter, *http.Request) {})
	for _, c := range []struct {
		// requests before the first write; writes; of which change something
		calm, rounds, every int
		want                string
	}{
		{30, 3, 1, "after POST /other (3)"},
		{4, 20, 5, "4 times with no write that explains it. It may be by chance that before each " +
			"came POST /other"},
	} {
		w := watch(t, mux, DefaultBounds)
		for range c.calm {
			w.do("GET", "/drift")
		}
		for i := range c.rounds {
			w.do("POST", "/other")
			if i%c.every == 0 {
				version.Add(1)
			}
			w.do("GET", "/drift")
		}
		file := w.proposed(c.calm + 2*c.rounds)
		name := "  - name: drift\n"
		if c.every > 1 {
			name = "  #- name: drift\n"
		}
		expect(t, route(t, file, "GET /drift"), c.want, name)
	}
}

// Whatever clients send as a path, the file has no fault, and no line of it is theirs.
func TestOddPathsMakeAValidFile(t *testing.T) {
	w := watch(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "{}")
	}), DefaultBounds)
	for _, path := range []string{
		"/", "//", "//a", "/a//b", "/a/", "/a/../b", "/..;/x", "/a%0Ab", "/a%00",
		"/%2F", "/{x}/{y}",
		"/{x}", "/a:b", "/:id", "/*", "/a*", "/%E9", "/$metadata", "/a(1)",
		"/(S(x))/a", "/index.php/a",
		"/a;b=c", "/A/b", "/a/B", "/null", "/true", "/a-b", "/a_b", "/.",
		"/a.b.c", "/~", "/-", "/_",
		"/x'y", "/x\"y", "/a/1/b", "/a/b/1", "/a/1/1", "/1/a/1", "/GET", "/a#b", "/a%23b", "/a,b",
	} {
		for _, method := range []string{"GET", "PUT", "POST"} {
			for range 6 {
				r, err := http.NewRequestWithContext(t.Context(), method, w.url, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.URL.Opaque = path
				resp, err := http.DefaultTransport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		}
	}
	file := w.proposed(500)
	if routes := strings.Count(file, "match: "); routes < 30 {
		t.Errorf("%d routes:\n%s", routes, file)
	}
}
