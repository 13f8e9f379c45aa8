package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

const validated = `routes:
  - {match: "GET /items/{id}", cache: {scope: shared, tags: ["item:{id}"]}}
  - {match: "PUT /items/{id}", invalidate: ["item:{id}"]}
`

// A document is a backend's one document: it has a version, and answers conditions on it.
type document struct {
	version, answers atomic.Int64
	fields           []string // of every answer to a GET or HEAD
	dated            bool     // it has a Last-Modified for every version, and no ETag
}

func (d *document) etag() string { return fmt.Sprintf(`"%d"`, d.version.Load()) }

func (d *document) answer(w http.ResponseWriter, r *http.Request, _ int) {
	if r.Method == http.MethodPut {
		d.version.Add(1)
		return
	}
	h := w.Header()
	h.Set("X-Answer", fmt.Sprint(d.answers.Add(1)))
	unchanged := !d.dated && strings.Contains(r.Header.Get("If-None-Match"), d.etag())
	if d.dated {
		h.Set("Last-Modified", modified)
		unchanged = r.Header.Get("If-Modified-Since") == modified
	} else {
		h.Set("Etag", d.etag())
	}
	for _, f := range d.fields {
		name, value, _ := strings.Cut(f, ": ")
		h.Set(name, value)
	}
	if unchanged {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	write(w, "version "+d.etag())
}

func TestAStoredAnswerIsValidatedByItsETagOrItsDate(t *testing.T) {
	for _, c := range []struct {
		name, asked string
		dated       bool
	}{{"ETag", `"0"`, false}, {"Last-Modified", modified, true}} {
		t.Run(c.name, func(t *testing.T) {
			d := &document{fields: []string{"Cache-Control: no-cache"}, dated: c.dated}
			b := backendThat(t, d.answer)
			s := start(t, b, validated)
			s.get("/items/1")
			b.new()
			a := s.get("/items/1")
			if a.status != http.StatusOK || a.body != `version "0"` ||
				a.cache() != "fwd=stale; fwd-status=304; stored; detail=no-cache" {
				t.Errorf("%d %q %q", a.status, a.body, a.cache())
			}
			if got := b.new(); got != "GET /items/1 "+c.asked {
				t.Errorf("the backend was asked %q", got)
			}
			if a.fields.Get("X-Answer") != "2" || a.fields["Age"] != nil {
				t.Errorf("the fields are not those of the 304: %q", a.fields)
			}
			own := "If-None-Match: " + c.asked
			if c.dated {
				own = "If-Modified-Since: " + c.asked
			}
			if a := s.get("/items/1", own); a.status != http.StatusNotModified {
				t.Errorf("a client that has it gets %d %q", a.status, a.cache())
			}
			if got := b.new(); got != "GET /items/1 "+c.asked {
				t.Errorf("the backend was asked %q for a client with a condition", got)
			}
		})
	}
}

func TestAnAnswerThatChangedTakesThePlaceOfTheStoredOne(t *testing.T) {
	d := &document{fields: []string{"Cache-Control: no-cache"}}
	s := start(t, backendThat(t, d.answer), validated)
	s.get("/items/1")
	d.version.Add(1)
	if a := s.get("/items/1"); a.body != `version "1"` ||
		a.cache() != "fwd=stale; stored; detail=no-cache" {
		t.Errorf("%q %q", a.body, a.cache())
	}
	if a := s.get("/items/1"); a.body != `version "1"` ||
		!strings.Contains(a.cache(), "fwd-status=304") {
		t.Errorf("then: %q %q", a.body, a.cache())
	}
}

// Something else may have been written at the same second: an ETag tells, a date does not.
func TestAWrittenAnswerIsValidatedByItsETagAndNeverByItsDate(t *testing.T) {
	for _, dated := range []bool{false, true} {
		d := &document{fields: []string{"Cache-Control: max-age=60"}, dated: dated}
		b := backendThat(t, d.answer)
		s := start(t, b, validated)
		s.get("/items/1")
		if a := s.do(t.Context(), http.MethodPut, "/items/1", nil); a.status != http.StatusOK {
			t.Fatalf("PUT: %d %v", a.status, a.err)
		}
		if !dated {
			d.version.Add(-1) // it changed something else
		}
		b.new()
		a := s.get("/items/1")
		asked := b.new()
		if !dated && (a.body != `version "0"` || asked != `GET /items/1 "0"` ||
			a.cache() != "fwd=miss; fwd-status=304; stored; detail=invalidated") {
			t.Errorf("with an ETag: %q %q, asked %q", a.body, a.cache(), asked)
		}
		if dated && (a.body != `version "1"` || asked != "GET /items/1" ||
			a.cache() != "fwd=miss; stored; detail=invalidated") {
			t.Errorf("with a date: %q %q, asked %q", a.body, a.cache(), asked)
		}
		if a := s.get("/items/1"); !strings.HasPrefix(a.cache(), "hit") {
			t.Errorf("then: %q", a.cache())
		}
	}
}

func TestA304MayNameTheVariantOfAnotherRequest(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		w.Header().Set("Vary", "Accept-Language")
		w.Header().Set("Etag", `"de"`) // everybody reads it
		if strings.Contains(r.Header.Get("If-None-Match"), `"de"`) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		write(w, "auf Deutsch", "Cache-Control: max-age=60")
	})
	s := start(t, b, validated)
	s.get("/items/1", "Accept-Language: de")
	b.new()
	a := s.get("/items/1", "Accept-Language: de-AT")
	if a.status != http.StatusOK || a.body != "auf Deutsch" ||
		!strings.HasPrefix(a.cache(), "fwd=vary-miss; fwd-status=304") {
		t.Errorf("%d %q %q", a.status, a.body, a.cache())
	}
	if got := b.new(); got != `GET /items/1 "de"` {
		t.Errorf("the backend was asked %q", got)
	}
	if a := s.get("/items/1", "Accept-Language: de-AT"); !strings.HasPrefix(a.cache(), "hit") {
		t.Errorf("then: %q", a.cache())
	}
}

func TestA304ThatNamesNothingStoredIsAskedForAnew(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Set("Etag", `"other"`)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		write(w, fmt.Sprint("answer ", n), "Cache-Control: no-cache", `ETag: "a"`)
	})
	s := start(t, b, validated)
	s.get("/items/1")
	b.new()
	if a := s.get("/items/1"); a.status != http.StatusOK || a.body != "answer 3" {
		t.Errorf("%d %q %q", a.status, a.body, a.cache())
	}
	if got := b.new(); got != `GET /items/1 "a", GET /items/1` {
		t.Errorf("the backend was asked %q", got)
	}
}

func TestAHEADUpdatesTheStoredAnswerOrDropsIt(t *testing.T) {
	d := &document{fields: []string{"Cache-Control: max-age=60"}}
	b := backendThat(t, d.answer)
	s := start(t, b, validated)
	s.get("/items/1")
	a := s.do(t.Context(), http.MethodHead, "/items/1", nil, "Cache-Control: no-cache")
	if a.status != http.StatusOK || !strings.HasPrefix(a.cache(), "fwd=request") {
		t.Fatalf("%d %q", a.status, a.cache())
	}
	if a := s.get("/items/1"); a.body != `version "0"` || a.fields.Get("X-Answer") != "2" ||
		!strings.HasPrefix(a.cache(), "hit") {
		t.Errorf("the fields of the HEAD are not those of what is stored: %q %q %q", a.body,
			a.cache(), a.fields)
	}
	d.version.Add(1)
	s.do(t.Context(), http.MethodHead, "/items/1", nil, "Cache-Control: no-cache")
	b.new()
	if a := s.get("/items/1"); a.body != `version "1"` || b.new() != "GET /items/1" {
		t.Errorf("what a HEAD shows to be old is served: %q %q", a.body, a.cache())
	}
}

func TestManyValidationsAreOneBackendRequest(t *testing.T) {
	d := &document{fields: []string{"Cache-Control: max-age=1"}}
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n == 1 || g.wait(r) {
			d.answer(w, r, n)
		}
	})
	t.Parallel()
	s := start(t, b, validated)
	s.get("/items/1")
	await(t, "it is stale", func() bool {
		return s.get("/items/1",
			"Cache-Control: only-if-cached").status == http.StatusGatewayTimeout
	})
	before := s.operations("open")
	wait := s.together(10, "/items/1", same())
	s.awaitOpens(before + 10)
	open()
	for i, a := range wait() {
		if a.body != `version "0"` || a.status != http.StatusOK {
			t.Errorf("client %d got %d %q %q", i, a.status, a.body, a.cache())
		}
	}
	if n := b.requests.Load(); n != 2 {
		t.Errorf("the backend saw %d requests", n)
	}
}
