package proxy_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/internal/telemetry"
	"sidecar/proxy"
)

const verifying = `caller: {credentials: ["header:Authorization"]}
routes:
  - name: item
    match: "GET /items/{id}"
    cache: {scope: shared, ttl: 1h, tags: ["item:{id}"], verify: {share: 100%, ignore: [seen_at, "l.#.n", "header:X-Instance"]}}
  - name: held
    match: "GET /held/{id}"
    cache: {scope: shared, ttl: 1h, memory: 1h, tags: ["item:{id}"], verify: {share: 100%}}
  - name: some
    match: "GET /some/{id}"
    cache: {scope: shared, ttl: 1h, memory: 1h, verify: {share: 10%}}
  - {name: none, match: "GET /none/{id}", cache: {scope: shared, ttl: 1h}}
  - {match: "PUT /items/{id}", invalidate: ["item:{id}"]}
`

// A book is a log that tests read while it is written.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is the log so far.
func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func logTo(b *book) func(*setup) {
	return func(o *setup) {
		o.log = slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

// verified is the report of one route.
func (s *sidecar) verified(route string) proxy.VerifiedRoute {
	s.t.Helper()
	for _, r := range s.proxy.Verified().Routes {
		if r.Route == route {
			return r
		}
	}
	s.t.Fatalf("there is no report of %s", route)
	return proxy.VerifiedRoute{}
}

// stored gets a path until it is answered from the store once, and so compared once.
func (s *sidecar) stored(path string, fields ...string) {
	s.t.Helper()
	for {
		if a := s.get(path, fields...); strings.HasPrefix(a.cache(), "hit") {
			return
		} else if a.err != nil || a.status >= 500 {
			s.t.Fatalf("%d %v", a.status, a.err)
		}
	}
}

// outcome waits for all comparisons of a route, and returns their counts.
func (s *sidecar) outcome(route string) (outcome string) {
	s.t.Helper()
	await(s.t, "the comparisons of "+route, func() bool {
		r := s.verified(route)
		switch {
		case r.Differed > 0:
			outcome = isMismatch
		case r.Compared > 0:
			outcome = isMatch
		default:
			outcome = isInconclusive
		}
		return r.Hits > 0 && r.Compared+r.Inconclusive+r.Dropped == r.Hits
	})
	return outcome
}

const (
	isMatch        = "match"
	isMismatch     = "mismatch"
	isInconclusive = "inconclusive"
)

// conclusive hits a path until a comparison is conclusive, which none is while Redis is busy; a few
// times at most.
func (s *sidecar) conclusive(route, path string, fields ...string) (outcome string) {
	for range 5 {
		s.stored(path, fields...)
		if outcome = s.outcome(route); outcome != isInconclusive {
			break
		}
	}
	return outcome
}

// awaitAsked hits a path until the API was asked about it.
func (s *sidecar) awaitAsked(path string, asked <-chan struct{}) {
	s.t.Helper()
	await(s.t, "the API is asked", func() bool {
		select {
		case <-asked:
			return true
		default:
			s.stored(path)
			return false
		}
	})
}

// tell tells it once.
func tell(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}

// first answers as a says the first time, and as b says from then on.
func first(a, b func(http.ResponseWriter, *http.Request, int)) func(http.ResponseWriter,
	*http.Request, int) {
	return func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 {
			a(w, r, n)
		} else {
			b(w, r, n)
		}
	}
}

func sendsJSON(body string, fields ...string) func(http.ResponseWriter, *http.Request, int) {
	return says(body, append(fields, "Content-Type: application/json")...)
}

func zipped(body string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, _ = z.Write([]byte(body))
	_ = z.Close()
	return b.String()
}

func fails(status int) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(status) }
}

func TestAHitIsComparedWithTheAnswerOfTheAPI(t *testing.T) {
	t.Parallel()
	gzipped := []string{
		"Content-Encoding: gzip", "Content-Type: application/json", "Vary: Accept-Encoding",
	}
	for _, c := range []struct {
		name         string
		first, later func(http.ResponseWriter, *http.Request, int)
		ask          []string // fields of the request
		want         string
		places       string // that the log names; where it is inconclusive, why
	}{
		{"the same", says("a"), says("a"), nil, isMatch, ""},
		{"another spelling of it", sendsJSON(`{"a":1,"b":2}`), sendsJSON(`{"b": 2.0, "a": 1}`),
			nil, isMatch, ""},
		{"another value", sendsJSON(`{"hp":42,"name":"tiger"}`),
			sendsJSON(`{"hp":7,"name":"lion"}`), nil,
			isMismatch, `"hp, name"`},
		{"names that are data",
			sendsJSON(`{"by":{"a@tiger.example":1,"lion":2},"s":{"1":{"x":2}}}`),
			sendsJSON(`{"by":{"a@tiger.example":2,"lion":3},"s":{"1":{"x":3}}}`), nil,
			isMismatch, `"by.*, s.*.x"`},
		{"an ignored value", sendsJSON(`{"hp":42,"seen_at":1}`), sendsJSON(`{"hp":42,"seen_at":2}`),
			nil, isMatch, ""},
		{"ignored in a list", sendsJSON(`{"l":[{"n":1,"x":1}]}`),
			sendsJSON(`{"l":[{"n":2,"x":2}]}`), nil,
			isMismatch, "l.#.x "},
		{"no JSON", says("tiger"), says("lion"), nil, isMismatch, "(body)"},
		{"JSON of another kind", sendsJSON(`{}`), sendsJSON(`[]`), nil, isMismatch, "(body)"},
		{"another status", says("a"), fails(404), nil, isMismatch, "(status)"},
		{"a refusal", says("a"), fails(403), nil, isMismatch, "(status)"},
		{"a token that has ended", says("a"), fails(401), nil, isInconclusive, "error-status"},
		{"an error", says("a"), fails(503), nil, isInconclusive, "error-status"},
		{"too many requests", says("a"), fails(429), nil, isInconclusive, "error-status"},
		{"another field", says("a", "X-Total: 1"), says("a", "X-Total: 2"), nil, isMismatch,
			"header:X-Total"},
		{"another type", says("a", "Content-Type: text/plain"),
			says("a", "Content-Type: text/html"), nil,
			isMismatch, "header:Content-Type"},
		{"fields of one answer",
			says("a", "Etag: \"a\"", "X-Trace-Id: 1", "Date: Thu, 01 Jan 2026 00:00:00 GMT"),
			says("a", "Etag: \"b\"", "X-Trace-Id: 2", "X-Runtime: 0.1", "Age: 3"),
			nil, isMatch, ""},
		{"an ignored field", says("a", "X-Instance: 1"), says("a", "X-Instance: 2"),
			nil, isMatch, ""},
		{"coded and not", says(zipped(`{"a":1}`), gzipped...),
			sendsJSON(`{"a":1}`, "Vary: Accept-Encoding"),
			[]string{"Accept-Encoding: gzip"}, isMatch, ""},
		{"coded", says(zipped(`{"a":1}`), gzipped...), says(zipped(`{"a":2}`), gzipped...),
			[]string{"Accept-Encoding: gzip"}, isMismatch, "differs=a "},
		{"coded in no way", says("x", "Content-Encoding: lzma"),
			says("y", "Content-Encoding: lzma"), nil,
			isInconclusive, "coding"},
		{"of a cookie in no key", says("a"), says("a tigertiger"),
			[]string{"Cookie: csrf=tigertiger"},
			isInconclusive, "cookie"},
		{"of no cookie", says("a"), says("b"), []string{"Cookie: csrf=tigertiger"},
			isMismatch, "(body)"},
		{"longer than any", says("a"), says(strings.Repeat("a", 2<<20)), nil, isMismatch, "(body)"},
		{"each time another one", says("a"), counts(), nil, isMismatch, "(body)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var log book
			b := backendThat(t, first(c.first, c.later))
			s := start(t, b, verifying, logTo(&log))
			if got := s.conclusive("item", "/items/1?token=tiger", c.ask...); got != c.want {
				t.Errorf("%s, want %s: %s", got, c.want, log.String())
			}
			s.stored("/items/1?token=tiger", c.ask...)
			s.outcome("item")
			said := log.String()
			if c.want == isInconclusive {
				r := s.verified("item")
				if r.Inconclusive != r.Why[telemetry.Inconclusive(c.places)] {
					t.Errorf("%+v", r)
				}
				c.places = "why=" + c.places
			}
			if (c.want == isMismatch) != strings.Contains(said, "level=WARN") ||
				!strings.Contains(said, c.places) {
				t.Errorf("the log has no %q: %s", c.places, said)
			}
			if strings.Contains(said, "tiger") || strings.Contains(said, "lion") {
				t.Errorf("the log has a value: %s", said)
			}
		})
	}
}

// The API has to give another answer twice, or it was about to change.
func TestADifferenceIsLookedAtTwice(t *testing.T) {
	t.Parallel()
	b := backendThat(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		write(w, fmt.Sprint("answer ", n == 2))
	})
	s := start(t, b, verifying)
	s.stored("/items/1")
	await(t, "the API was asked twice", func() bool {
		s.stored("/items/1")
		return s.outcome("item") != "" && b.requests.Load() >= 3
	})
	if r := s.verified("item"); r.Differed > 0 || r.Why[telemetry.InconclusiveUnsteady] == 0 {
		t.Errorf("%+v", r)
	}
}

// A write between the answer and the question, or while it is asked, makes a difference that is no
// fault.
func TestAWriteInBetweenLeavesTheComparisonOpen(t *testing.T) {
	t.Parallel()
	for during := 2; during <= 3; during++ { // the request to the API, of which the first fills
		t.Run(fmt.Sprint("request ", during), func(t *testing.T) {
			t.Parallel()
			g, open := newGate(t)
			asked := make(chan struct{}, 1)
			b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
				switch {
				case n == 1 || r.Method == http.MethodPut:
					write(w, "old")
				case n < during:
					write(w, "new")
				default:
					tell(asked)
					if g.wait(r) {
						write(w, "new")
					}
				}
			})
			s := start(t, b, verifying)
			s.awaitAsked("/items/1", asked)
			if a := s.do(t.Context(), http.MethodPut, "/items/1", nil); a.status != http.StatusOK {
				t.Fatalf("PUT: %d %v", a.status, a.err)
			}
			open()
			got, r := s.outcome("item"), s.verified("item")
			if got != isInconclusive || r.Why[telemetry.InconclusiveWritten] == 0 {
				t.Errorf("%s %+v", got, r)
			}
		})
	}
}

func TestAWriteUnderWayLeavesTheComparisonOpen(t *testing.T) {
	t.Parallel()
	g, open := newGate(t)
	writing := make(chan struct{}, 1)
	asking, answerIt := newGate(t)
	asked := make(chan struct{}, 1)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		switch {
		case r.Method == http.MethodPut:
			writing <- struct{}{}
			g.wait(r)
			write(w, "done")
		case n == 1:
			write(w, "old")
		default:
			tell(asked)
			if asking.wait(r) {
				write(w, "new")
			}
		}
	})
	s := start(t, b, verifying)
	s.awaitAsked("/items/1", asked)
	done := make(chan answer, 1)
	go func() {
		done <- s.do(t.Context(), http.MethodPut, "/items/1", strings.NewReader("x"),
			"Authorization: Bearer a")
	}()
	<-writing
	answerIt()
	if got := s.outcome("item"); got != isInconclusive {
		t.Error(got)
	}
	open()
	if a := <-done; a.status != http.StatusOK {
		t.Errorf("PUT: %d %v", a.status, a.err)
	}
}

func TestWithoutTheAPIThereIsNoComparison(t *testing.T) {
	t.Parallel()
	b := backendThat(t, first(says("a"),
		func(http.ResponseWriter, *http.Request, int) { panic(http.ErrAbortHandler) }))
	s := start(t, b, verifying)
	s.stored("/items/1")
	if got := s.outcome("item"); got != isInconclusive {
		t.Error(got)
	}
}

// A question has none of the client's wishes: it is about the stored response.
func TestAQuestionIsForTheWholeResponse(t *testing.T) {
	t.Parallel()
	b := backendThat(t, says("0123456789"))
	s := start(t, b, verifying)
	for _, fields := range [][]string{
		{"Range: bytes=2-3"}, {`If-None-Match: "x"`}, {"Cache-Control: max-age=1000"},
		{"Cache-Control: only-if-cached"}, nil,
	} {
		method := http.MethodGet
		if fields == nil {
			method = http.MethodHead
		}
		await(t, fmt.Sprintf("a question after %s %q", method, fields), func() bool {
			s.stored("/items/1")
			s.outcome("item")
			b.new()
			a := s.do(t.Context(), method, "/items/1", nil, fields...)
			s.outcome("item")
			got := b.new()
			if strings.HasPrefix(a.cache(), "hit") && got != "" && got != "GET /items/1" {
				t.Fatalf("%s %q: the API was asked %q", method, fields, got)
			}
			return strings.HasPrefix(a.cache(), "hit") && got != ""
		})
	}
	if r := s.verified("item"); r.Differed > 0 {
		t.Errorf("%+v", r)
	}
}

func TestASampleIsRandomAndNeverLargerThanItsShare(t *testing.T) {
	for _, share := range []float64{1, 0.7, 0.5, 0.3, 0.07, 0.01, 0.00123} {
		sample, taken, phases := proxy.Sampler(share, 17), 0, map[int]bool{}
		for n := 1; n <= 100_000; n++ {
			if sample() {
				taken++
				phases[n%100] = true
			}
			if most := math.Ceil(share*float64(n) - 1e-9); float64(taken) > most {
				t.Fatalf("%v: %d of %d", share, taken, n)
			}
		}
		if float64(taken) < share*100_000-2 || len(phases) < 60 {
			t.Errorf("%v: %d are taken, at %d phases", share, taken, len(phases))
		}
	}
}

// Also where requests are answered below net/http.
func TestTheShareIsKeptAndNeverExceeded(t *testing.T) {
	t.Parallel()
	b := backendThat(t, says("a"))
	var p *proxy.Proxy
	s := start(t, b, verifying, func(o *setup) {
		o.wrap = func(h http.Handler) http.Handler { p = h.(*proxy.Proxy); return h }
	})
	await(t, "memory has it", func() bool {
		return strings.HasSuffix(s.get("/some/1").cache(), "detail=memory")
	})
	for i := range 500 {
		if i%2 == 0 {
			s.get("/some/1")
		} else {
			// its host is another one: the first such request is a miss
			take(p, requestOf(t, "GET /some/1\nX-Forwarded-For: 192.0.2.1"))
		}
		if r := s.verified("some"); 10*(r.Compared+r.Inconclusive+r.Dropped) > r.Hits+9 {
			t.Fatalf("after %d hits: %+v", r.Hits, r)
		}
	}
	var r proxy.VerifiedRoute
	await(t, "all are compared", func() bool {
		r = s.verified("some")
		return r.Compared+r.Inconclusive+r.Dropped+1 >= r.Hits/10
	})
	if r.Hits < 100 || r.Differed > 0 || r.Compared == 0 ||
		!strings.Contains(r.Proves, "with 95% confidence") {
		t.Errorf("%+v", r)
	}
	s.stored("/none/1")
	if len(s.proxy.Verified().Routes) != 3 {
		t.Errorf("%+v", s.proxy.Verified())
	}
}

func TestQuestionsThatAreTooManyAreDroppedAndEndWithTheProxy(t *testing.T) {
	t.Parallel()
	g, _ := newGate(t)
	var asking atomic.Int64
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n > 1 {
			if asking.Add(1) > 2 {
				t.Error("too many are asked at once")
			}
			defer asking.Add(-1)
			g.wait(r)
		}
		write(w, "a")
	})
	s := start(t, b, verifying)
	await(t, "memory has it", func() bool {
		return strings.HasSuffix(s.get("/held/1").cache(), "detail=memory")
	})
	await(t, "questions are dropped",
		func() bool { s.get("/held/1"); return s.verified("held").Dropped > 2 })
	if r := s.verified("held"); r.Hits-r.Dropped-r.Inconclusive > 70 || r.Hits-r.Dropped < 60 {
		t.Errorf("%+v", r)
	}
	await(t, "two are asked at once", func() bool { return asking.Load() == 2 })
	inconclusive := s.verified("held").Inconclusive
	closed := make(chan struct{})
	go func() { s.proxy.Close(); close(closed) }()
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
	}
	await(t, "nobody is asked any more", func() bool { return asking.Load() == 0 })
	before := b.requests.Load()
	if a := s.get("/held/1"); !strings.HasPrefix(a.cache(), "hit") || b.requests.Load() != before {
		t.Errorf("after the end: %s", a.cache())
	}
	if r := s.verified("held"); r.Compared > 0 || r.Inconclusive != inconclusive {
		t.Errorf("what was ended counts: %+v", r)
	}
}

// What is said to hold with 95 % confidence does: none of n differs with a chance of under 5 % if
// the share that is named does.
func TestWhatIsProvedHasTheConfidence(t *testing.T) {
	t.Parallel()
	for n := uint64(4); n < 1e9; n += 1 + n/7 {
		said := proxy.Proves(n, 0)
		var most float64
		_, rest, _ := strings.Cut(said, "at most ")
		if _, err := fmt.Sscanf(rest, "%g%% do", &most); err != nil ||
			strings.Contains(rest, "e-") {
			t.Fatalf("%s: %v", said, err)
		}
		if chance := math.Exp(float64(n) * math.Log1p(-most/100)); chance > 0.05 ||
			n > 20 && chance < 0.03 {
			t.Errorf("%s: the chance is %g", said, chance)
		}
	}
	for said, of := range map[string][2]uint64{
		"nothing: no hit was compared yet":                                {0, 0},
		"next to nothing: none of 3 hits differed":                        {3, 0},
		"2 of 9 hits differed from the API's answer: the log names the":   {9, 2},
		"none of 612 hits differed: at most 0.5% do, with 95% confidence": {612, 0},
	} {
		if got := proxy.Proves(of[0], of[1]); !strings.HasPrefix(got, said) {
			t.Errorf("%v: %s", of, got)
		}
	}
}
