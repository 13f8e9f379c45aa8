package proxy_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const items = `routes:
  - {match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, tags: ["item:{id}"]}}
  - {match: "PUT /items/{id}", invalidate: ["item:{id}"]}
  - {match: "GET /held/{id}", cache: {scope: shared, ttl: 1h, memory: 1h}}
  - {match: "GET /own/{id}", cache: {scope: private, ttl: 1h}}
  - {match: "GET /listed", cache: {scope: shared, ttl: 1h, query: [page]}}
  - {match: "GET /plain/{id}", cache: {scope: shared}}
`

func TestAMissIsStoredAndTheNextRequestIsAHit(t *testing.T) {
	b := backendThat(t, counts("X-Field: 1", "Cache-Status: origin; hit"))
	s := start(t, b, items)
	a := s.get("/items/1")
	if a.body != "answer 1" ||
		a.fields.Values("Cache-Status")[1] != "sidecar; fwd=uri-miss; stored" ||
		a.fields["Age"] != nil {
		t.Errorf("the miss: %q %q", a.body, a.fields)
	}
	a = s.get("/items/1")
	if a.body != "answer 1" || a.fields.Get("X-Field") != "1" || a.fields.Get("Age") == "" {
		t.Errorf("the hit: %q %q", a.body, a.fields)
	}
	lines := a.fields.Values("Cache-Status")
	if len(lines) != 2 || lines[0] != "origin; hit" ||
		!strings.HasPrefix(lines[1], "sidecar; hit; ttl=3") ||
		!strings.HasSuffix(lines[1], "; detail=redis") {
		t.Errorf("Cache-Status of the hit: %q", lines)
	}
	if got := b.new(); got != "GET /items/1" {
		t.Errorf("the backend was asked %q", got)
	}
}

func TestARouteWithMemoryAnswersWithoutRedis(t *testing.T) {
	s := start(t, backendThat(t, counts()), items)
	await(t, "the process hears its own heartbeat", func() bool {
		s.get("/held/1")
		return strings.HasSuffix(s.get("/held/1").cache(), "detail=memory")
	})
	before := s.operations("lookup")
	if a := s.get("/held/1"); a.body != "answer 1" ||
		!strings.HasSuffix(a.cache(), "detail=memory") {
		t.Errorf("%q %q", a.body, a.cache())
	}
	if after := s.operations("lookup"); after != before {
		t.Errorf("the hit asked Redis: %d look-ups, then %d", before, after)
	}
}

func TestAnotherProcessHitsWhatThisOneStored(t *testing.T) {
	b := backendThat(t, counts())
	s := start(t, b, items)
	other := start(t, b, items, func(o *setup) { o.prefix = s.prefix })
	if a := s.get("/items/1", "Host: api.example"); a.body != "answer 1" {
		t.Fatalf("%q", a.body)
	}
	s.get("/items/1", "Host: api.example") // waits for the store
	if a := other.get("/items/1", "Host: api.example"); a.body != "answer 1" ||
		!strings.HasPrefix(a.cache(), "hit") {
		t.Errorf("the other process: %q %q", a.body, a.cache())
	}
}

func TestAgeCountsTheTimeAtTheBackendAndInTheStore(t *testing.T) {
	s := start(t, backendThat(t, says("x", "Age: 100", "Cache-Control: max-age=200")), items)
	if a := s.get("/plain/1"); a.fields.Get("Age") != "100" {
		t.Errorf("the miss has Age %q, want the backend's", a.fields.Get("Age"))
	}
	a := s.get("/plain/1")
	if age := a.fields.Get("Age"); !strings.HasPrefix(age, "10") || len(age) != 3 {
		t.Errorf("the hit has Age %q", age)
	}
	if !strings.HasPrefix(a.cache(), "hit; ttl=9") &&
		!strings.HasPrefix(a.cache(), "hit; ttl=100") {
		t.Errorf("the hit says %q: the backend's time counts", a.cache())
	}
}

func TestRequestsThatGoPastTheCacheSayWhy(t *testing.T) {
	for _, c := range []struct{ name, target, field, cache string }{
		{"no route matches", "/other", "", "fwd=bypass; detail=no-route"},
		{"the client wants nothing stored", "/items/1", "Cache-Control: no-store",
			"fwd=bypass; detail=request-no-store"},
		{"Cache-Control cannot be read", "/items/1", `Cache-Control: max-age="`,
			"fwd=bypass; detail=bad-cache-control"},
		{"If-Match is the backend's to judge", "/items/1", `If-Match: "a"`,
			"fwd=bypass; detail=precondition"},
		{"If-Unmodified-Since too", "/items/1",
			"If-Unmodified-Since: Thu, 01 Jan 2026 00:00:00 GMT",
			"fwd=bypass; detail=precondition"},
		{"Connection takes a field out", "/items/1", "Connection: Accept-Language",
			"fwd=bypass; detail=connection-option"},
		{"a field that nobody declared says who asks", "/items/1", "X-Forwarded-User: alice",
			"fwd=bypass; detail=undeclared-credential"},
		{"a parameter is not listed", "/listed?page=1&q=2", "",
			"fwd=bypass; detail=query-not-listed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, backendThat(t, counts()), items)
			var fields []string
			if c.field != "" {
				fields = []string{c.field}
			}
			for n := range 2 {
				a := s.get(c.target, fields...)
				if a.cache() != c.cache || a.body != [2]string{"answer 1", "answer 2"}[n] {
					t.Errorf("request %d: %q %q, want %q", n+1, a.cache(), a.body, c.cache)
				}
			}
		})
	}
}

func TestRequestsThatWantNoStoredAnswerFetchOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, field, cache string }{
		{"no-cache", "Cache-Control: no-cache", "fwd=request; stored; detail=request-no-cache"},
		{"Pragma", "Pragma: no-cache", "fwd=request; stored; detail=request-no-cache"},
		{"max-age=0", "Cache-Control: max-age=0", "fwd=request; stored; detail=request-max-age"},
		{"min-fresh", "Cache-Control: min-fresh=4000",
			"fwd=request; stored; detail=request-min-fresh"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := backendThat(t, counts())
			s := start(t, b, items)
			s.get("/items/1")
			if c.name == "max-age=0" { // the entry has to have an age of a second
				await(t, "the entry is a second old",
					func() bool { return s.get("/items/1").fields.Get("Age") == "1" })
			}
			if a := s.get("/items/1", c.field); a.body != "answer 2" || a.cache() != c.cache {
				t.Errorf("%q %q, want %q", a.body, a.cache(), c.cache)
			}
			if a := s.get("/items/1"); a.body != "answer 2" ||
				!strings.HasPrefix(a.cache(), "hit") {
				t.Errorf("what was fetched is not stored: %q %q", a.body, a.cache())
			}
		})
	}
}

func TestOnlyIfCachedIsAnsweredFromTheStoreOrNotAtAll(t *testing.T) {
	b := backendThat(t, counts())
	s := start(t, b, items)
	a := s.get("/items/1", "Cache-Control: only-if-cached")
	if a.status != http.StatusGatewayTimeout ||
		a.fields.Get("Content-Type") != "application/problem+json" || b.new() != "" {
		t.Errorf("nothing is stored: %d %q", a.status, a.fields)
	}
	s.get("/items/1")
	if a := s.get("/items/1", "Cache-Control: only-if-cached"); a.status != http.StatusOK ||
		a.body != "answer 1" {
		t.Errorf("it is stored: %d %q %q", a.status, a.body, a.cache())
	}
}

func TestAHEADIsAnsweredFromAStoredGET(t *testing.T) {
	b := backendThat(t, says("12345", "X-Field: 1"))
	s := start(t, b, items)
	if a := s.do(t.Context(), http.MethodHead, "/items/1", nil); a.status != http.StatusOK ||
		a.cache() != "fwd=uri-miss" {
		t.Errorf("nothing is stored: %d %q", a.status, a.cache())
	}
	if a := s.get("/items/1"); a.cache() != "fwd=uri-miss; stored" {
		t.Errorf("the answer to a HEAD was stored: %q", a.cache())
	}
	b.new()
	a := s.do(t.Context(), http.MethodHead, "/items/1", nil)
	if a.status != http.StatusOK || a.body != "" || a.fields.Get("Content-Length") != "5" ||
		a.fields.Get("X-Field") != "1" || b.new() != "" {
		t.Errorf("it is stored: %d %q %q", a.status, a.body, a.fields)
	}
}

func TestTwoCallersNeverGetEachOthersPrivateAnswer(t *testing.T) {
	s := start(t, backendThat(t, counts()), items)
	for range 2 {
		alice, bob := s.get("/own/1", "Authorization: Bearer alice"),
			s.get("/own/1", "Authorization: Bearer bob")
		if alice.body != "answer 1" || bob.body != "answer 2" {
			t.Errorf("alice got %q, bob %q", alice.body, bob.body)
		}
	}
}

func TestAnswersThatAreNotStoredSayWhy(t *testing.T) {
	for _, c := range []struct {
		name   string
		path   string
		answer func(http.ResponseWriter, *http.Request, int)
		why    string
	}{
		{"no-store", "/items/1", counts("Cache-Control: no-store"), "no-store"},
		{"private, in a shared cache", "/items/1", counts("Cache-Control: private"), "private"},
		{"it varies on everything", "/items/1", counts("Vary: *"), "vary-any"},
		{"it sets a cookie", "/items/1", counts("Set-Cookie: a=b"), "set-cookie"},
		{"nothing gives it a lifetime", "/plain/1", counts(), "no-lifetime"},
		{"it is stale already", "/plain/1",
			counts("Age: 9", "Cache-Control: max-age=5, must-revalidate"), "expired-on-arrival"},
		{"it wants validation and has no validator", "/plain/1",
			counts("Cache-Control: max-age=60, no-cache"), "response-no-cache"},
		{"its Cache-Control cannot be read", "/plain/1", counts(`Cache-Control: max-age="`),
			"bad-cache-control"},
		{"its status is not listed", "/items/1",
			func(w http.ResponseWriter, _ *http.Request, n int) {
				w.Header().Set("Content-Length", "8")
				w.WriteHeader(http.StatusNotFound)
				_, _ = w.Write([]byte{'a', 'n', 's', 'w', 'e', 'r', ' ', '0' + byte(n)})
			}, "status"},
		{"it announces trailers", "/items/1", func(w http.ResponseWriter, r *http.Request, n int) {
			w.Header().Set("Trailer", "X-Sum")
			_, _ = w.Write([]byte{'a', 'n', 's', 'w', 'e', 'r', ' ', '0' + byte(n)})
			w.Header().Set("X-Sum", "1")
		}, "trailers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := start(t, backendThat(t, c.answer), items)
			for n := range 2 {
				a := s.get(c.path)
				if want := "fwd=uri-miss; detail=" + c.why; a.cache() != want ||
					a.body != [2]string{"answer 1", "answer 2"}[n] {
					t.Errorf("request %d: %q %q, want %q", n+1, a.cache(), a.body, want)
				}
			}
		})
	}
}

func TestAnEntryOfADifferentVariantIsNoAnswer(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		write(w, "in "+r.Header.Get("Accept-Language"), "Vary: Accept-Language")
	})
	s := start(t, b, items)
	s.get("/items/1", "Accept-Language: de")
	if a := s.get("/items/1", "Accept-Language: en"); a.body != "in en" ||
		a.cache() != "fwd=vary-miss; stored" {
		t.Errorf("the second variant: %q %q", a.body, a.cache())
	}
	for _, lang := range []string{"de", "en"} {
		if a := s.get("/items/1", "Accept-Language: "+lang); a.body != "in "+lang ||
			!strings.HasPrefix(a.cache(), "hit") {
			t.Errorf("%s: %q %q", lang, a.body, a.cache())
		}
	}
}

func TestAnEntryIsServedUntilItsLifetimeIsOver(t *testing.T) {
	t.Parallel()
	b := backendThat(t, counts("Cache-Control: max-age=1"))
	s := start(t, b, items)
	began := time.Now()
	s.get("/plain/1")
	await(t, "it is no hit any more",
		func() bool { return !strings.HasPrefix(s.get("/plain/1").cache(), "hit") })
	if took := time.Since(began); took < 900*time.Millisecond || took > 5*time.Second {
		t.Errorf("it was a hit for %v", took)
	}
}
