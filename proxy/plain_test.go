package proxy_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"sidecar/policy"
	"sidecar/proxy"
)

const remembered = `caller: {credentials: ["header:Authorization", "cookie:session"]}
routes:
  - {match: "GET /held/{id}", cache: {scope: shared, ttl: 1h, memory: 1h, set_cookie: {drop: [csrf]}, vary: [Accept-Language]}}
  - {match: "GET /own/{id}", cache: {scope: private, ttl: 1h, memory: 1h}}
  - {match: "GET /stale/{id}", cache: {scope: shared, ttl: 1h, memory: 1h}}
  - {match: "GET /redis/{id}", cache: {scope: shared, ttl: 1h, memory: off, max_body: 4MiB}}
  - {match: "GET /held/denied", deny: true}
  - {match: "PUT /held/{id}", invalidate: ["held"]}
`

// The ways of a plain request.
const (
	isHit   = "a response in hand answers it"
	isAsked = "it is answered, and may take its time"
	isLeft  = "it is left to ServeHTTP"
)

// plainRequests are requests with their ways once GETs of the same targets and fields have been
// stored.
var plainRequests = []struct{ request, way string }{
	{"GET /held/1", isHit},
	{"HEAD /held/1", isHit},
	{"GET /held/1?a=b", isHit},
	{"GET /held/1\nAccept-Language: de", isHit},
	{"GET /held/1\nX-Forwarded-For: 192.0.2.1\nX-Request-Id: 1", isHit},
	{"GET /held/1\nIf-None-Match: \"v\"", isHit},
	{"GET /held/1\nIf-None-Match: \"other\"", isHit},
	{"GET /held/1\nCache-Control: max-age=3000", isHit},
	{"GET /held/1\nCache-Control: only-if-cached", isHit},
	{"GET /own/1\nAuthorization: Bearer a", isHit},
	{"GET /own/1\nCookie: session=b", isHit},
	{"GET /held/missing", isHit},
	{"GET /held/empty", isHit},
	{"GET /held/never", isAsked},
	{"GET /own/1\nAuthorization: Bearer never", isAsked},
	{"GET /held/1\nCache-Control: no-cache", isAsked},
	{"GET /held/1\nCache-Control: max-age=0", isAsked},
	{"GET /held/1\nCache-Control: no-store", isAsked},
	{"GET /held/1\nRange: bytes=0-1", isAsked},
	{"GET /held/1\nIf-Match: \"v\"", isAsked},
	{"GET /held/1\nUpgrade: websocket\nConnection: upgrade", isLeft},
	{"GET /held/1\nConnection: x-a\nX-A: 1", isAsked},
	{"GET /held/1\nX-Http-Method-Override: PUT", isLeft},
	{"GET /held/1\nX-Original-Url: /held/2", isAsked},
	{"GET /held/1\nX-Vault-Token: 1", isAsked},
	{"GET /held/1\nX_Y: 1", isAsked},
	{"GET /held/1\nCookie: session=b;SESSION=c", isAsked},
	{"GET /held/1\nSidecar-Passed: nobody", isHit},
	{"GET /held//1", isAsked},
	{"GET /held/denied", isLeft},
	{"GET /held/1#f", isLeft},
	{"GET /redis/1", isHit},
	{"GET /redis/1\nIf-None-Match: \"v\"", isHit},
	{"GET /redis/1\nCache-Control: no-cache", isAsked},
	{"GET /redis/1\nRange: bytes=0-1", isAsked},
	{"GET /redis/long", isAsked},
	{"GET /other/1", isAsked},
	{"PUT /held/9", isLeft},
	{"OPTIONS /held/1", isAsked},
	{"GET /stale/1", isAsked}, // the last: its refresh looks for itself
}

// requestOf is a request as a server reads it.
func requestOf(t testing.TB, lines string) *http.Request {
	t.Helper()
	first, fields, _ := strings.Cut(lines, "\n")
	if fields != "" {
		fields = strings.ReplaceAll(fields, "\n", "\r\n") + "\r\n"
	}
	r, err := http.ReadRequest(bufio.NewReader(
		strings.NewReader(first + " HTTP/1.1\r\nHost: api.example\r\n" + fields + "\r\n")))
	check(t, err)
	r.RemoteAddr = "192.0.2.9:1000"
	return r
}

var passing = regexp.MustCompile(`ttl=-?\d+`)

// told is an answer without the parts that change as time passes.
func told(w *httptest.ResponseRecorder) (int, http.Header, string) {
	h := w.Header().Clone()
	delete(h, "Age")
	delete(h, "Date")
	for i, line := range h["Cache-Status"] {
		h["Cache-Status"][i] = passing.ReplaceAllString(line, "ttl=")
	}
	return w.Code, h, w.Body.String()
}

// take reports whether a request is taken and answered by a response in hand.
func take(p *proxy.Proxy, r *http.Request) (isHit bool) {
	taken, ok := p.Take(r, nil)
	if !ok {
		return false
	}
	_, asked := answerPlain(p, taken)
	return !asked
}

// answerPlain answers a request that was taken. asked: its context was asked for.
func answerPlain(p *proxy.Proxy, taken any) (w *httptest.ResponseRecorder, asked bool) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	w = httptest.NewRecorder()
	p.Answer(w, taken, func() context.Context {
		asked = true
		return ctx
	})
	return w, asked
}

// Of two sidecars that have stored the same, one answers by Answer and one by ServeHTTP.
func TestPlainRequestsAreAnsweredAsServeHTTPDoes(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("Etag", `"v"`)
		w.Header().Set("X-Twice", "1")
		w.Header().Add("X-Twice", "2")
		switch {
		case strings.HasPrefix(r.URL.Path, "/stale"):
			w.Header().Set("Cache-Control", "max-age=0, stale-while-revalidate=1000")
		case r.URL.Path == "/held/missing":
			w.Header().Set("Cache-Control", "max-age=1000")
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path == "/redis/long":
			w.Header()["Content-Type"] = nil
			_, _ = w.Write(make([]byte, 3<<20))
			return
		case r.URL.Path == "/held/empty":
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = w.Write([]byte(r.URL.Path + " for " + r.Header.Get("Authorization") +
			r.Header.Get("Accept-Language")))
	})
	s, other := start(t, b, remembered), start(t, b, remembered)
	serve := func(p *proxy.Proxy, request string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, requestOf(t, request))
		return w
	}
	held := func(request string) bool { return !strings.HasPrefix(request, "GET /redis") }
	for _, p := range []*proxy.Proxy{s.proxy, other.proxy} {
		for _, c := range plainRequests {
			tier := "detail=memory"
			if !held(c.request) {
				tier = "detail=redis"
			}
			if c.way == isHit { // the GET of it is stored
				await(t, "the store answers "+c.request, func() bool {
					return strings.HasSuffix(serve(p, c.request).Header().Get("Cache-Status"), tier)
				})
			}
		}
		serve(p, "GET /stale/1")
		await(t, "the long one is stored", func() bool {
			return strings.Contains(serve(p, "GET /redis/long").Header().Get("Cache-Status"), "hit")
		})
	}
	for _, c := range plainRequests {
		lookups, r := s.operations("lookup"), requestOf(t, c.request)
		taken, ok := s.proxy.Take(r, nil)
		if ok != (c.way != isLeft) {
			t.Errorf("%q: taken is %v, but %s", c.request, ok, c.way)
		}
		if !ok {
			continue
		}
		w, asked := answerPlain(s.proxy, taken)
		if asked != (c.way == isAsked) {
			t.Errorf("%q has a context: %v, but %s", c.request, asked, c.way)
		}
		if n := s.operations("lookup") - lookups; c.way == isHit && held(c.request) && n > 0 ||
			n > 1 && !strings.HasPrefix(c.request, "GET /stale") {
			t.Errorf("%q asks Redis %d times", c.request, n)
		}
		status, fields, body := told(w)
		wantStatus, wantFields, wantBody := told(serve(other.proxy, c.request))
		if status != wantStatus || body != wantBody || !reflect.DeepEqual(fields, wantFields) {
			t.Errorf("%q: it is answered\n%d %q %q, by ServeHTTP\n%d %q %q",
				c.request, status, fields, body, wantStatus, wantFields, wantBody)
		}
		if c.way != isHit {
			continue
		}
		if w.Header().Get("Age") == "" {
			t.Errorf("%q: no Age", c.request)
		}
		if kept, ok := s.proxy.Take(r, taken); !ok || kept != taken {
			t.Errorf("%q is planned anew for its second time: %v", c.request, ok)
		}
		w, _ = answerPlain(s.proxy, taken)
		status, fields, body = told(w)
		if status != wantStatus || body != wantBody || !reflect.DeepEqual(fields, wantFields) {
			t.Errorf("%q, for the second time: %d %q %q, want\n%d %q %q", c.request, status, fields,
				body, wantStatus, wantFields, wantBody)
		}
	}
}

// A plan that is kept with a connection holds for as long as the policies, the keys and the token
// that it was made from.
func TestAKeptPlanHoldsNoLongerThanItsPremises(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		_, _ = w.Write([]byte(r.Header.Get("Authorization")))
	})
	p := start(t, b, "caller: {jwt: {secret_env: TOKEN_SECRET, algorithms: [HS256]}}\n"+
		"routes: [{match: GET /held, cache: {scope: private, ttl: 1h, memory: 1h}}]").proxy
	end := time.Now().Add(4 * time.Second).Truncate(time.Second)
	r := requestOf(t, "GET /held")
	r.Header.Set("Authorization", bearer(t, jwt.Claims{Expiry: jwt.NewNumericDate(end)}))
	begin := time.Now().Add(time.Second).Truncate(time.Second)
	early := requestOf(t, "GET /held")
	early.Header.Set("Authorization", bearer(t, jwt.Claims{NotBefore: jwt.NewNumericDate(begin)}))
	tooEarly, ok := p.Take(early, nil)
	if !ok {
		t.Error("a request with a token that does not hold yet is not taken")
	}
	answerPlain(p, tooEarly)
	var taken any
	holds := func(kept any) bool {
		taken, _ = p.Take(r, kept)
		return kept != nil && taken == kept
	}
	await(t, "memory has the answer", func() bool {
		p.ServeHTTP(httptest.NewRecorder(), r.Clone(t.Context()))
		return take(p, r)
	})
	holds(nil)
	first, table := taken, p.Table
	if !holds(first) {
		t.Error("it is planned anew without a reason")
	}
	other, _, err := policy.Load([]byte("version: 1"), policy.Options{
		Secret: func() []byte { return []byte("a key") },
	})
	check(t, err)
	p.Table = func() *policy.Table { return other }
	if holds(first) {
		t.Error("it holds though the policies have changed")
	}
	p.Table = table
	await(t, "the token has expired", func() bool { return !time.Now().Before(end) })
	if holds(first) {
		t.Error("it holds though the token has expired")
	}
	if again, _ := p.Take(early, tooEarly); again == tooEarly {
		t.Error("one without a caller holds though its token has begun to hold")
	}
}

// A plan that is kept with an idle connection keeps nothing of the last answer: neither its writer
// nor the entry that was looked up for it.
func TestAKeptPlanKeepsNothingOfItsAnswer(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("Cache-Control", "no-store")
		write(w, "an answer")
	})
	p := start(t, b, remembered).proxy
	for _, path := range []string{"/held/1", "/other"} {
		taken, ok := p.Take(requestOf(t, "GET "+path), nil)
		if !ok {
			t.Fatalf("%s is not taken", path)
		}
		w := httptest.NewRecorder()
		kept := weak.Make(w)
		p.Answer(w, taken, t.Context)
		w = nil
		await(t, "the writer for "+path+" is let go", func() bool {
			runtime.GC()
			return kept.Value() == nil
		})
		runtime.KeepAlive(taken)
	}
}

// A large head that was served is not held by the plans that are kept.
func TestKeptPlansHoldNoLargeHeads(t *testing.T) {
	const plans, size = 20, 600 << 10
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		for i := range size / 8000 {
			w.Header().Set(fmt.Sprint("X-", i), strings.Repeat("h", 8000))
		}
		write(w, "an answer")
	})
	p := start(t, b, remembered).proxy
	target := func(i int) string { return fmt.Sprintf("GET /redis/%d", i) }
	kept := make([]any, plans)
	for i := range kept {
		await(t, "it is stored", func() bool {
			p.ServeHTTP(httptest.NewRecorder(), requestOf(t, target(i)))
			return take(p, requestOf(t, target(i)))
		})
		kept[i], _ = p.Take(requestOf(t, target(i)), nil)
		if _, asked := answerPlain(p, kept[i]); asked {
			t.Fatal("it is no hit")
		}
	}
	for i := range 3 * plans { // others take the place of the decoded entries
		p.ServeHTTP(httptest.NewRecorder(), requestOf(t, target(plans+i)))
	}
	with := heap()
	runtime.KeepAlive(kept)
	kept = nil
	if held := (int64(with) - int64(heap())) / plans; held > size/2 {
		t.Errorf("a plan holds %d bytes", held)
	}
}

// heap is how many bytes live.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // pools keep theirs for one collection
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// bearer is an Authorization with a token under TOKEN_SECRET.
func bearer(t *testing.T, claims jwt.Claims) string {
	t.Helper()
	key := jose.SigningKey{Algorithm: jose.HS256, Key: bytes.Repeat([]byte("k"), 32)}
	signer, err := jose.NewSigner(key, nil)
	check(t, err)
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	check(t, err)
	return "Bearer " + token
}
