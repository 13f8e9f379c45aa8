package proxy_test

import (
	"bufio"
	"bytes"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

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

// recalled are requests, and whether Recall answers them once GETs of the same targets and fields
// have been stored.
var recalled = []struct {
	request string
	want    bool
}{
	{"GET /held/1", true},
	{"HEAD /held/1", true},
	{"GET /held/1?a=b", true},
	{"GET /held/1\nAccept-Language: de", true},
	{"GET /held/1\nX-Forwarded-For: 192.0.2.1\nX-Request-Id: 1", true},
	{"GET /held/1\nIf-None-Match: \"v\"", true},
	{"GET /held/1\nIf-None-Match: \"other\"", true},
	{"GET /held/1\nCache-Control: max-age=3000", true},
	{"GET /held/1\nCache-Control: only-if-cached", true},
	{"GET /own/1\nAuthorization: Bearer a", true},
	{"GET /own/1\nCookie: session=b", true},
	{"GET /held/missing", true},
	{"GET /held/empty", true},
	{"GET /held/never", false},
	{"GET /own/1\nAuthorization: Bearer never", false},
	{"GET /held/1\nCache-Control: no-cache", false},
	{"GET /held/1\nCache-Control: max-age=0", false},
	{"GET /held/1\nCache-Control: no-store", false},
	{"GET /held/1\nRange: bytes=0-1", false},
	{"GET /held/1\nIf-Match: \"v\"", false},
	{"GET /held/1\nUpgrade: websocket\nConnection: upgrade", false},
	{"GET /held/1\nConnection: x-a\nX-A: 1", false},
	{"GET /held/1\nX-Http-Method-Override: PUT", false},
	{"GET /held/1\nX-Original-Url: /held/2", false},
	{"GET /held/1\nX-Vault-Token: 1", false},
	{"GET /held/1\nX_Y: 1", false},
	{"GET /held/1\nCookie: session=b;SESSION=c", false},
	{"GET /held/1\nSidecar-Passed: nobody", true},
	{"GET /held//1", false},
	{"GET /held/denied", false},
	{"GET /held/1#f", false},
	{"GET /stale/1", false},
	{"GET /redis/1", true},
	{"GET /redis/1\nIf-None-Match: \"v\"", true},
	{"GET /redis/1\nCache-Control: no-cache", false},
	{"GET /redis/1\nRange: bytes=0-1", false},
	{"GET /redis/long", false},
	{"GET /other/1", false},
	{"PUT /held/9", false},
	{"OPTIONS /held/1", false},
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
	for i, line := range h["Cache-Status"] {
		h["Cache-Status"][i] = passing.ReplaceAllString(line, "ttl=")
	}
	return w.Code, h, w.Body.String()
}

// Recall answers hits as ServeHTTP would, and leaves everything else. ServeHTTP reads nothing of
// the store again that Recall has read.
func TestRecallAnswersAsServeHTTPDoes(t *testing.T) {
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
	var p *proxy.Proxy
	s := start(t, b, remembered, func(o *setup) {
		o.wrap = func(h http.Handler) http.Handler { p = h.(*proxy.Proxy); return h }
	})
	serve := func(request string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		p.ServeHTTP(w, requestOf(t, request))
		return w
	}
	held := func(request string) bool { return !strings.HasPrefix(request, "GET /redis") }
	for _, c := range recalled {
		tier := "detail=memory"
		if !held(c.request) {
			tier = "detail=redis"
		}
		if c.want { // the GET of it is stored
			await(t, "the store answers "+c.request, func() bool {
				return strings.HasSuffix(serve(c.request).Header().Get("Cache-Status"), tier)
			})
		}
	}
	serve("GET /stale/1")
	await(t, "the long one is stored", func() bool {
		return strings.Contains(serve("GET /redis/long").Header().Get("Cache-Status"), "hit")
	})
	for _, c := range recalled {
		lookups := s.operations("lookup")
		got, again, r := httptest.NewRecorder(), httptest.NewRecorder(), requestOf(t, c.request)
		keep, ok := p.Recall(got, r, nil)
		if ok != c.want || ok && keep == nil {
			t.Errorf("%q: %v, and keeps %v", c.request, ok, keep)
		} else if ok && held(c.request) && s.operations("lookup") != lookups {
			t.Errorf("%q asks Redis", c.request)
		}
		if !ok && keep != nil {
			lookups = s.operations("lookup")
			p.ServeHTTP(httptest.NewRecorder(), r.WithContext(proxy.Resume(r.Context(), keep)))
			// a refresh behind a stale answer looks for itself
			if n := s.operations("lookup") -
				lookups; n > 0 && !strings.HasPrefix(c.request, "GET /stale") {
				t.Errorf("%q asks Redis %d times more", c.request, n)
			}
		}
		if !c.want {
			if len(got.Header()) > 0 || got.Body.Len() > 0 {
				t.Errorf("%q is left, and %q is written", c.request, got.Header())
			}
			continue
		}
		if !p.MayRecall(strings.Fields(c.request)[1]) {
			t.Errorf("%q is not looked at", c.request)
		}
		status, fields, body := told(got)
		wantStatus, wantFields, wantBody := told(serve(c.request))
		if status != wantStatus || body != wantBody || !reflect.DeepEqual(fields, wantFields) {
			t.Errorf("%q: it answers\n%d %q %q, ServeHTTP\n%d %q %q",
				c.request, status, fields, body, wantStatus, wantFields, wantBody)
		}
		if got.Header().Get("Age") == "" {
			t.Errorf("%q: no Age", c.request)
		}
		if kept, ok := p.Recall(again, r, keep); !ok || kept != keep {
			t.Errorf("%q is planned anew for its second time: %v", c.request, ok)
		}
		status, fields, body = told(again)
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
	var p *proxy.Proxy
	start(t, b, "caller: {jwt: {secret_env: TOKEN_SECRET, algorithms: [HS256]}}\n"+
		"routes: [{match: GET /held, cache: {scope: private, ttl: 1h, memory: 1h}}]",
		func(o *setup) {
			o.wrap = func(h http.Handler) http.Handler { p = h.(*proxy.Proxy); return h }
		})
	end := time.Now().Add(4 * time.Second).Truncate(time.Second)
	r := requestOf(t, "GET /held")
	r.Header.Set("Authorization", bearer(t, end))
	var keep any
	recalls := func(kept any) (ok bool) {
		keep, ok = p.Recall(httptest.NewRecorder(), r, kept)
		return ok
	}
	await(t, "memory has the answer", func() bool {
		p.ServeHTTP(httptest.NewRecorder(), r.Clone(t.Context()))
		return recalls(nil)
	})
	first, table := keep, p.Table
	if !recalls(first) || keep != first {
		t.Error("it is planned anew without a reason")
	}
	other, _, err := policy.Load([]byte("version: 1"), policy.Options{
		Secret: func() []byte { return []byte("a key") },
	})
	check(t, err)
	p.Table = func() *policy.Table { return other }
	if recalls(first) {
		t.Error("it is answered though the policies have changed")
	}
	p.Table = table
	await(t, "the token has expired", func() bool { return !time.Now().Before(end) })
	if recalls(first) {
		t.Error("it is answered though the token has expired")
	}
}

// bearer is an Authorization with a token under TOKEN_SECRET.
func bearer(t *testing.T, expires time.Time) string {
	t.Helper()
	key := jose.SigningKey{Algorithm: jose.HS256, Key: bytes.Repeat([]byte("k"), 32)}
	signer, err := jose.NewSigner(key, nil)
	check(t, err)
	token, err := jwt.Signed(signer).
		Claims(jwt.Claims{Expiry: jwt.NewNumericDate(expires)}).Serialize()
	check(t, err)
	return "Bearer " + token
}
