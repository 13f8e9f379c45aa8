package proxy_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/internal/caller"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/policy"
	"sidecar/proxy"
	"sidecar/test/origin"
)

// watched counts in left the requests whose client is gone or has its answer, and in ended those
// whose handler has returned.
func watched(left, ended *atomic.Int64) func(*setup) {
	return func(o *setup) {
		o.wrap = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				context.AfterFunc(r.Context(), func() { left.Add(1) })
				defer ended.Add(1)
				h.ServeHTTP(w, r)
			})
		}
	}
}

func TestAnAnswerThatIsTooLongByItsHeadIsNotBegun(t *testing.T) {
	s := start(t, backendThat(t, long(1<<20+1, true)), items)
	if a := s.get("/items/1"); a.cache() != "fwd=uri-miss; detail=too-large" {
		t.Errorf("%q", a.cache())
	}
	s = start(t, backendThat(t, partly(strings.Repeat("x", 2<<20), `ETag: "a"`)), large)
	a := s.get("/items/1", "Range: bytes=0-1048576")
	if a.cache() != "fwd=uri-miss; detail=too-large" || len(a.body) != 1<<20+1 {
		t.Errorf("a part: %q, %d bytes", a.cache(), len(a.body))
	}
}

func TestAnAnswerThatIsLongerOrShorterThanItMayBeIsNotStored(t *testing.T) {
	for name, b := range map[string]*api{
		"a part that ends early":  backendThat(t, cutPart),
		"chunks beyond the limit": backendThat(t, long(4<<20, false)),
	} {
		s := start(t, b, large)
		s.get("/items/1", "Range: bytes=0-4")
		for range 2 {
			if a := s.get("/items/1", "Range: bytes=0-1"); strings.HasPrefix(a.cache(), "hit") {
				t.Errorf("%s: %q", name, a.cache())
			}
		}
	}
}

// cutPart is shorter than it says.
func cutPart(w http.ResponseWriter, _ *http.Request, _ int) {
	w.Header().Set("Content-Range", "bytes 0-4/10")
	w.Header().Set("Etag", `"a"`)
	w.WriteHeader(http.StatusPartialContent)
	_ = http.NewResponseController(w).Flush()
	_, _ = io.WriteString(w, "012")
}

// Two parts that are stored are no more together than one may be.
func TestPartsThatAreTooLongTogetherAreNotJoined(t *testing.T) {
	s := start(t, backendThat(t, partly(strings.Repeat("x", 2<<20), `ETag: "a"`)), large)
	const first, second = "Range: bytes=0-699999", "Range: bytes=700000-1399999"
	s.get("/items/1", first)
	s.get("/items/1", second)
	if a := s.get("/items/1", second); !strings.HasPrefix(a.cache(), "hit") {
		t.Errorf("the second one: %q", a.cache())
	}
	if a := s.get("/items/1", first); strings.HasPrefix(a.cache(), "hit") {
		t.Errorf("the first one: %q", a.cache())
	}
}

// What the parts say of themselves is not said of the whole.
func TestPartsAreStoredWithoutTheDigestsOfTheirContent(t *testing.T) {
	b := backendThat(t, partly("0123456789", `ETag: "a"`, "Content-Digest: sha-256=:YQ==:"))
	s := start(t, b, items)
	if a := s.get("/items/1", "Range: bytes=0-4"); a.fields.Get("Content-Digest") == "" {
		t.Fatalf("%q", a.fields)
	}
	s.get("/items/1", "Range: bytes=5-9")
	a := s.get("/items/1")
	if !strings.HasPrefix(a.cache(), "hit") || a.fields["Content-Digest"] != nil {
		t.Errorf("%q %q", a.cache(), a.fields)
	}
}

func TestPartsThatAreJoinedHaveTheTagsOfBoth(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodPut {
			w.Header().Set("Cache-Group-Invalidation", `"a"`)
			return
		}
		if n == 1 {
			w.Header().Set("Cache-Groups", `"a"`)
		}
		partly("0123456789", `ETag: "a"`)(w, r, n)
	})
	s := start(t, b, items)
	s.get("/items/1", "Range: bytes=0-4")
	s.get("/items/1", "Range: bytes=5-9")
	still := s.cached("/items/1")
	s.do(t.Context(), http.MethodPut, "/items/2", nil)
	if still() {
		t.Error("it is served after a write to a group of the first part")
	}
}

// A response over HTTP/2 has trailers behind its announced length.
func TestAnAnswerOverHTTP2IsNotCompleteBeforeItsTrailers(t *testing.T) {
	for _, size := range []int{10, 2 << 20} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(
			func(w http.ResponseWriter, r *http.Request) {
				long(size, true)(w, r, 1)
				_ = http.NewResponseController(w).Flush()
				time.Sleep(20 * time.Millisecond) // what is tried: they come later
				w.Header().Set(http.TrailerPrefix+"X-Sum", "1")
			}))
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
		t.Cleanup(server.Close)
		h2c := "h2c" + strings.TrimPrefix(server.URL, "http")
		s := start(t, &api{Server: &httptest.Server{URL: h2c}}, large)
		for range 3 {
			if a := s.get("/items/1"); strings.HasPrefix(a.cache(), "hit") {
				t.Errorf("%d bytes: %q", size, a.cache())
			}
		}
	}
}

// The body lies in chunks, and is lost. What the backend says of it is of no use.
func TestAStoredAnswerWhoseBodyIsLostIsFetchedAnew(t *testing.T) {
	t.Parallel()
	failing := atomic.Bool{}
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("Etag", `"a"`)
		switch {
		case failing.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.Header.Get("If-None-Match") != "":
			w.WriteHeader(http.StatusNotModified)
		default:
			if r.URL.Path == "/items/3" {
				w.Header().Set("Cache-Control", "max-age=1")
			}
			long(2<<20, true)(w, r, n)
		}
	})
	s := start(t, b, `routes:
  - match: "GET /items/{id}"
    cache: {scope: shared, ttl: 1h, stale_if_error: 1h, max_body: 3MiB}
`)
	lose := func(path string) {
		await(t, "it is stored", func() bool {
			return strings.HasPrefix(s.get(path).cache(), "hit")
		})
		for _, key := range s.chunked() {
			s.redis.Do("DEL", key)
		}
		b.new()
	}
	lose("/items/1")
	if a := s.get("/items/1"); len(a.body) != 2<<20 || b.new() != "GET /items/1" {
		t.Errorf("one that is fresh: %q, %d bytes", a.cache(), len(a.body))
	}
	lose("/items/2")
	a := s.get("/items/2", "Cache-Control: no-cache")
	if got := b.new(); len(a.body) != 2<<20 || got != `GET /items/2 "a", GET /items/2` {
		t.Errorf("one that was validated: %q, %d bytes; asked %q", a.cache(), len(a.body), got)
	}
	s.awaitStale("/items/3")
	for _, key := range s.chunked() {
		s.redis.Do("DEL", key)
	}
	failing.Store(true)
	a = s.get("/items/3")
	if a.status != http.StatusServiceUnavailable {
		t.Errorf("one in the place of an error: %d %q, %d bytes", a.status, a.cache(), len(a.body))
	}
}

func TestAnAnswerWhoseFramingSaysTwoThingsChangesNothing(t *testing.T) { // RFC 9112 §6.1
	const suspect = "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"
	next := ""
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) { _, _ = c.WriteString(next) })
	s := start(t, &api{Server: &httptest.Server{URL: o.URL()}}, items)
	next = "HTTP/1.1 200 OK\r\n" + suspect + "\r\n1\r\nx\r\n0\r\n\r\n"
	if a := s.get("/plain/1"); a.cache() != "fwd=uri-miss; detail=bad-framing" {
		t.Errorf("GET: %q", a.cache())
	}
	const head = "Cache-Control: max-age=60\r\nEtag: \"a\"\r\n"
	next = "HTTP/1.1 200 OK\r\n" + head + "X-Answer: 1\r\nContent-Length: 1\r\n\r\nx"
	s.get("/plain/1")
	next = "HTTP/1.1 304 Not Modified\r\n" + head + suspect + "X-Answer: 2\r\n\r\n"
	s.get("/plain/1", "Cache-Control: no-cache")
	if a := s.get("/plain/1"); a.fields.Get("X-Answer") != "1" {
		t.Errorf("after a 304: %q %q", a.cache(), a.fields)
	}
	next = "HTTP/1.1 200 OK\r\n" + suspect + "Etag: \"b\"\r\n\r\n"
	s.do(t.Context(), http.MethodHead, "/plain/1", nil, "Cache-Control: no-cache")
	if a := s.get("/plain/1"); a.body != "x" || !strings.HasPrefix(a.cache(), "hit") {
		t.Errorf("after a HEAD: %q %q", a.cache(), a.body)
	}
}

const cookies = `routes:
  - {match: "GET /store/{id}", cache: {scope: shared, ttl: 1h, set_cookie: store}}
  - {match: "GET /drop/{id}", cache: {scope: shared, ttl: 1h, set_cookie: {drop: [csrf]}}}
  - {match: "GET /check/{id}", cache: {scope: shared, set_cookie: {drop: [csrf]}}}
`

func TestSetCookieIsTreatedAsTheRouteSays(t *testing.T) {
	for _, c := range []struct{ path, line, cache, stored string }{
		{"/store/1", "a=long-enough", "hit", "a=long-enough"},
		{"/drop/1", "csrf=1", "hit", ""},
		{"/drop/2", "other=1", "fwd=uri-miss; detail=set-cookie", "other=1"},
		{"/drop/3", "=", "fwd=uri-miss; detail=set-cookie", "="},
	} {
		s := start(t, backendThat(t, says("repeats long-enough", "Set-Cookie: "+c.line)), cookies)
		s.get(c.path, "Cookie: csrf=1")
		a := s.get(c.path, "Cookie: csrf=1")
		if !strings.HasPrefix(a.cache(), c.cache) || a.fields.Get("Set-Cookie") != c.stored {
			t.Errorf("%s, %s: %q %q", c.path, c.line, a.cache(), a.fields["Set-Cookie"])
		}
	}
}

// The client that brings no such cookie gets one from the backend, whichever answer had dropped it.
func TestACookieThatWasDroppedIsRememberedThroughUpdates(t *testing.T) {
	without := func(s *sidecar, path string) {
		t.Helper()
		if a := s.get(path, "Cookie: csrf=1"); !strings.HasPrefix(a.cache(), "hit") {
			t.Errorf("%s, with the cookie: %q", path, a.cache())
		}
		if a := s.get(path); strings.HasPrefix(a.cache(), "hit") {
			t.Errorf("%s, without the cookie: %q", path, a.cache())
		}
	}
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.Header().Set("Etag", `"a"`)
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		write(w, "x", "Cache-Control: no-cache", "Set-Cookie: csrf=1")
	})
	s := start(t, b, cookies)
	s.get("/check/1")
	s.get("/check/1", "Cookie: csrf=1")
	without(s, "/check/1")
	for _, with := range []int{1, 2} { // the part with the cookie
		b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
			if n == with {
				w.Header().Set("Set-Cookie", "csrf=1")
			}
			partly("0123456789", `ETag: "a"`)(w, r, n)
		})
		s := start(t, b, cookies)
		s.get("/drop/1", "Range: bytes=0-4", "Cookie: csrf=1")
		s.get("/drop/1", "Range: bytes=5-9", "Cookie: csrf=1")
		without(s, "/drop/1")
	}
}

func TestAnAnswerLivesNoLongerThanTheTokenOfItsCaller(t *testing.T) {
	sign := func(claims string) string {
		encode := base64.RawURLEncoding.EncodeToString
		text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode([]byte(claims))
		mac := hmac.New(sha256.New, []byte(strings.Repeat("k", 32)))
		mac.Write([]byte(text))
		return text + "." + encode(mac.Sum(nil))
	}
	s := start(t, backendThat(t, counts()), "caller: {jwt: {secret_env: TOKEN_SECRET, "+
		"algorithms: [HS256]}}\n"+items)
	token := "Authorization: Bearer " + sign(fmt.Sprintf(`{"sub":"a","exp":%d}`,
		time.Now().Add(1000*time.Second).Unix()))
	s.get("/own/1", token)
	a := s.get("/own/1", token)
	ttl := 0
	_, err := fmt.Sscanf(a.cache(), "hit; ttl=%d", &ttl)
	if err != nil || ttl > 1000 || ttl < 100 {
		t.Errorf("%q", a.cache())
	}
}

func TestWhatAHEADSaysOfAnotherAnswerChangesNothing(t *testing.T) {
	for _, c := range []struct{ stored, head int }{{200, 404}, {404, 200}} {
		b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			status, tag := c.stored, `"a"`
			if r.Method == http.MethodHead {
				status, tag = c.head, `"b"`
			}
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Etag", tag)
			w.WriteHeader(status)
		})
		s := start(t, b, items)
		s.cached("/plain/1")
		s.do(t.Context(), http.MethodHead, "/plain/1", nil, "Cache-Control: no-cache")
		if a := s.get("/plain/1"); !strings.HasPrefix(a.cache(), "hit") {
			t.Errorf("a HEAD with %d, and %d is stored: %q", c.head, c.stored, a.cache())
		}
	}
}

// Without a 304, too.
func TestAHEADOfTheSameAnswerUpdatesIt(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		write(w, "x", `ETag: "a"`, fmt.Sprint("X-Answer: ", n))
	})
	s := start(t, b, items)
	s.cached("/items/1")
	s.do(t.Context(), http.MethodHead, "/items/1", nil, "Cache-Control: no-cache")
	a := s.get("/items/1")
	if !strings.HasPrefix(a.cache(), "hit") || a.fields.Get("X-Answer") != "2" {
		t.Errorf("%q %q", a.cache(), a.fields)
	}
}

// Something else may have been written at the same second: a date does not tell.
func TestAHEADDoesNotBringAWrittenAnswerBackByItsDate(t *testing.T) {
	d := &document{fields: []string{"Cache-Control: max-age=60"}, dated: true}
	s := start(t, backendThat(t, d.answer), validated)
	s.cached("/items/1")
	s.do(t.Context(), http.MethodPut, "/items/1", nil)
	s.do(t.Context(), http.MethodHead, "/items/1", nil)
	if a := s.get("/items/1"); strings.HasPrefix(a.cache(), "hit") || a.body != `version "1"` {
		t.Errorf("%q %q", a.cache(), a.body)
	}
}

func TestA304WithAWeakETagDoesNotConfirmAWrittenAnswer(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Set("Etag", `W/"a"`)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		write(w, "x", `ETag: "a"`, "Cache-Control: max-age=60")
	})
	s := start(t, b, validated)
	s.cached("/items/1")
	s.do(t.Context(), http.MethodPut, "/items/1", nil)
	b.new()
	s.get("/items/1")
	if got := b.new(); got != `GET /items/1 "a", GET /items/1` {
		t.Errorf("the backend was asked %q", got)
	}
}

// The variant that a 304 names is not one that this request can have.
func TestA304MayNameAVariantThatCannotBeServed(t *testing.T) {
	for name, c := range map[string]struct {
		body   string
		says   string // the 304
		fields []string
	}{
		"coded":                         {"x", `"de"`, []string{"Content-Encoding: gzip"}},
		"in chunks":                     {strings.Repeat("x", 2<<20), `"de"`, nil},
		"for those who bring a cookie":  {"x", `"de"`, []string{"Set-Cookie: csrf=1"}},
		"none that is known":            {"x", `"fr"`, nil},
		"one that is there, by the way": {"x", `"de"`, nil},
	} {
		b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
			w.Header().Set("Vary", "Accept-Language")
			w.Header().Set("Etag", `"de"`)
			if r.Header.Get("If-None-Match") != "" {
				w.Header().Set("Etag", c.says)
				w.WriteHeader(http.StatusNotModified)
				return
			}
			write(w, c.body, c.fields...)
		})
		s := start(t, b, `routes:
  - match: "GET /items/{id}"
    cache: {scope: shared, ttl: 1h, max_body: 3MiB, set_cookie: {drop: [csrf]}}
`)
		de := []string{"Accept-Language: de", "Cookie: csrf=1"}
		s.get("/items/1", de...)
		await(t, "it is stored", func() bool {
			return strings.HasPrefix(s.get("/items/1", de...).cache(), "hit")
		})
		b.new()
		want := `GET /items/1 "de", GET /items/1`
		if name == "one that is there, by the way" {
			want = `GET /items/1 "de"`
		}
		a := s.get("/items/1", "Accept-Language: de-AT")
		if got := b.new(); got != want || a.body != c.body {
			t.Errorf("%s: asked %q, the client got %d bytes", name, got, len(a.body))
		}
	}
}

func TestAnAnswerThatAWriteMakesOldIsNotServedWhileTheNextWriteIsUnderWay(t *testing.T) {
	t.Parallel()
	m, puts := &moody{}, atomic.Int64{}
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodPut && puts.Add(1) == 2 {
			g.wait(r)
		}
		m.answer(w, r, n)
	})
	s := start(t, b, stale)
	s.awaitStale("/error/1")
	s.do(t.Context(), http.MethodPut, "/items/1", nil, "Authorization: Basic eDp5")
	written := make(chan struct{})
	go func() { // ends with the gate
		defer close(written)
		s.do(t.Context(), http.MethodPut, "/items/1", nil, "Authorization: Basic eDp5")
	}()
	await(t, "the second write is at the backend", func() bool { return puts.Load() == 2 })
	m.mood.Store(http.StatusServiceUnavailable)
	if a := s.get("/error/1"); a.status != http.StatusServiceUnavailable {
		t.Errorf("%d %q %q", a.status, a.body, a.cache())
	}
	open()
	<-written
}

func TestAnErrorTakesThePlaceOfAStaleAnswer(t *testing.T) {
	t.Parallel()
	b := backendThat(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		w.Header().Set("Cache-Control", fmt.Sprint("max-age=", [2]int{1, 60}[min(n-1, 1)]))
		w.WriteHeader([2]int{200, 404}[min(n-1, 1)])
	})
	s := start(t, b, items)
	s.awaitStale("/plain/1")
	if a := s.get("/plain/1"); a.status != 404 || a.cache() != "fwd=stale; stored" {
		t.Errorf("%d %q", a.status, a.cache())
	}
}

func TestConditionsOfAClientGoToTheBackendWithAPartAlone(t *testing.T) {
	var none atomic.Int64
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		none.Store(int64(len(r.Header["If-None-Match"])))
		write(w, "0123456789", `ETag: "a"`)
	})
	s := start(t, b, items)
	s.get("/items/1", `If-None-Match: "x"`, "If-Modified-Since: "+modified)
	if got := b.new(); got != "GET /items/1" || none.Load() != 0 {
		t.Errorf("the backend was asked %q, with %d lines of If-None-Match", got, none.Load())
	}
	s.get("/items/2", `If-None-Match: "x"`, "Range: bytes=-2")
	if got := b.new(); got != `GET /items/2 "x" bytes=-2` {
		t.Errorf("the backend was asked %q", got)
	}
}

func TestA304ToNoConditionIsPassedOn(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.WriteHeader(http.StatusNotModified)
	})
	s := start(t, b, items)
	if a := s.get("/items/1"); a.status != http.StatusNotModified || b.requests.Load() != 1 {
		t.Errorf("%d %v, the backend was asked %d times", a.status, a.err, b.requests.Load())
	}
}

// The proxy judges a condition where it has kept it from the backend, and nowhere else.
func TestAConditionIsJudgedOnce(t *testing.T) {
	s := start(t, backendThat(t, says("x", `ETag: "a"`, "Cache-Control: no-store")), items)
	if a := s.get("/items/1", `If-None-Match: "a"`); a.status != http.StatusNotModified {
		t.Errorf("of an answer that is not stored: %d", a.status)
	}
	a := s.do(t.Context(), http.MethodHead, "/items/2", nil, `If-None-Match: "a"`)
	if a.status != http.StatusOK {
		t.Errorf("of a HEAD that the backend has answered: %d", a.status)
	}
}

// A client that asks first whether to send its body is shut out like any other.
func TestAFormThatIsAnnouncedIsDeniedToo(t *testing.T) {
	b := backendThat(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		_, _ = io.Copy(io.Discard, r.Body)
	})
	s := start(t, b, `routes: [{match: "DELETE /items/{id}", deny: true}]`)
	const form = "_method=DELETE"
	got := s.raw("POST /items/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" +
		"Expect: 100-continue\r\nContent-Type: application/x-www-form-urlencoded\r\n" +
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(form), form))
	if !strings.Contains(got, "HTTP/1.1 404 ") || b.new() != "" {
		t.Errorf("%q", got)
	}
}

// A jobsAt serves one path.
type jobsAt string

// Serves implements proxy.JobHook.
func (j jobsAt) Serves(path string) bool { return path == string(j) }

// ServeJob implements proxy.JobHook.
func (jobsAt) ServeJob(http.ResponseWriter, *http.Request, caller.Caller) {}

// Preflight implements proxy.JobHook.
func (jobsAt) Preflight(http.ResponseWriter, *http.Request, *policy.Plan) bool { return false }

// Accept implements proxy.JobHook.
func (jobsAt) Accept(
	http.ResponseWriter, *http.Request, *policy.Plan, *redisconn.Budget,
) (bool, reason.Reason) {
	return false, ""
}

func TestMemoryDoesNotAnswerForJobs(t *testing.T) {
	var p *proxy.Proxy
	start(t, backendThat(t, counts()), remembered, func(o *setup) {
		o.wrap = func(h http.Handler) http.Handler { p = h.(*proxy.Proxy); return h }
	})
	request := func() *http.Request { return requestOf(t, "GET /held/1") }
	await(t, "memory answers", func() bool {
		p.ServeHTTP(httptest.NewRecorder(), request())
		return take(p, request())
	})
	p.Jobs = jobsAt("/held/1")
	if _, ok := p.Take(request(), nil); ok {
		t.Error("it answers")
	}
}

// What selects the answer is no wish.
func TestARefreshHasTheFieldsThatSelectTheAnswer(t *testing.T) {
	t.Parallel()
	var sent atomic.Value
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		sent.Store(r.Header.Get("Pragma"))
		write(w, fmt.Sprint("answer ", n), "Vary: Pragma")
	})
	s := start(t, b, stale)
	s.get("/behind/1", "Pragma: x")
	sent.Store("")
	await(t, "it is refreshed", func() bool {
		return s.get("/behind/1", "Pragma: x").body != "answer 1"
	})
	if got := sent.Load(); got != "x" {
		t.Errorf("the backend was sent %q", got)
	}
}
