package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/redisd"
)

// A part of the query that the backend declares irrelevant (No-Vary-Search) makes no other answer,
// in any sidecar, unless the policy tells requests apart by it.
func TestQueriesThatTheBackendDoesNotTellApartShareAnAnswer(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var rule atomic.Value
	rule.Store(`params=("utm" "trace")`)
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Cache-Control", "max-age=3600")
		if rule := rule.Load().(string); rule != "" {
			w.Header().Set("No-Vary-Search", rule)
		}
		fmt.Fprintf(w, "page %s, asked for with %q", r.URL.Query().Get("page"), r.URL.RawQuery)
	}))
	t.Cleanup(b.Close)
	shared := redisd.Start(t)
	file := policiesFile(t, `version: 1
routes:
  - {name: plain, match: "GET /plain/{id}", cache: {scope: shared}}
  - {name: tagged, match: "GET /tagged/{id}", cache: {scope: shared, tags: ["trace:{query.trace}"]}}
`)
	var sidecars []*stack
	for range 2 {
		s := &stack{t: t, redis: shared, api: b.URL}
		s.sidecar, s.url, s.ops = startSidecar(t, b.URL, shared.Addr(), file)
		s.awaitCaching()
		sidecars = append(sidecars, s)
	}
	first, second := sidecars[0], sidecars[1]
	filled := func(path string) string {
		t.Helper()
		var body string
		awaitThat(t, path+" is a hit",
			func() bool { a := first.get(path); body = string(a.body); return a.hit() })
		return body
	}
	one := filled("/plain/1?page=1&utm=x")
	for _, s := range sidecars {
		for _, query := range []string{
			"page=1", "page=1&utm=y", "utm=z&page=1&trace=7", "trace=1&page=1&utm=x&utm=y",
		} {
			if a := s.get("/plain/1?" + query); !a.hit() || string(a.body) != one {
				t.Errorf("?%s: %q %q", query, a.cache(), a.body)
			}
		}
	}
	for _, query := range []string{
		"page=2", "page=1&other=1", "page=1&UTM=x", "page=1;utm=x", "utm=x",
	} {
		if a := second.get("/plain/1?" + query); a.hit() {
			t.Errorf("?%s: %q %q", query, a.cache(), a.body)
		}
	}

	// Where the rule is gone, each query is one again, and where there is another, that one counts.
	rule.Store("")
	filled("/plain/1?page=3&utm=x")
	if a := first.get("/plain/1?page=3&utm=y"); a.hit() {
		t.Errorf("without a rule: %q %q", a.cache(), a.body)
	}
	rule.Store(`params, except=("page")`)
	four := filled("/plain/2?page=4&x=1")
	for _, query := range []string{"page=4", "page=4&y=1"} {
		if a := first.get("/plain/2?" + query); !a.hit() || string(a.body) != four {
			t.Errorf("?%s: %q %q", query, a.cache(), a.body)
		}
	}
	rule.Store(`params=("page"`) // invalid
	filled("/plain/3?page=1")
	if a := first.get("/plain/3?page=2"); a.hit() {
		t.Errorf("by an invalid rule: %q %q", a.cache(), a.body)
	}

	// Two requests that a tag tells apart never share an entry.
	rule.Store(`params=("trace")`)
	filled("/tagged/1?trace=1")
	if a := first.get("/tagged/1?trace=2"); a.hit() ||
		!strings.Contains(string(a.body), "trace=2") {
		t.Errorf("tagged by the parameter: %q %q", a.cache(), a.body)
	}
	rule.Store(`params=("utm")`)
	filled("/tagged/2?trace=1&utm=1")
	if a := first.get("/tagged/2?trace=1&utm=2"); !a.hit() {
		t.Errorf("tagged by another parameter: %q", a.cache())
	}
}

// Waiting requests share an answer only if its own fields permit that: an earlier answer's rule for
// queries may hold no more.
func TestWhatWasSaidOfQueriesDoesNotHoldForAnAnswerThatDoesNotSayIt(t *testing.T) {
	t.Parallel()
	var said atomic.Bool
	said.Store(true)
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=1")
		if said.Load() {
			w.Header().Set("No-Vary-Search", `params=("x")`)
		} else {
			w.Header().Set("Cache-Control", "max-age=3600")
			time.Sleep(500 * time.Millisecond) // the others come meanwhile
		}
		fmt.Fprintf(w, "answer to %s", r.URL.RawQuery)
	}))
	t.Cleanup(b.Close)
	s := startBefore(t, b.URL,
		policiesFile(t,
			"version: 1\nroutes:\n"+
				"  - {match: GET /, cache: {scope: shared, stale_if_unreachable: 0s}}\n"))
	awaitHit(t, s.url+"/a?x=0")
	awaitStale(t, s.url+"/a?x=0")
	said.Store(false)
	var running sync.WaitGroup
	for i := range 6 {
		running.Go(func() {
			if a := do(t, http.MethodGet, fmt.Sprintf("%s/a?x=%d", s.url, i+1),
				nil); string(a.body) != fmt.Sprintf("answer to x=%d", i+1) {
				t.Errorf("x=%d: %q %q", i+1, a.cache(), a.body)
			}
		})
	}
	running.Wait()
}
