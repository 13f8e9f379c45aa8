package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// A write whose answer names groups (RFC 9875, and the older fields for the same) invalidates the
// answers that belong to them.
func TestAnAnswerNamesItsGroupsAndAWriteInvalidatesThem(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	hold, held := make(chan chan struct{}, 1), make(chan struct{}, 1)
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			w.Header().Set("Cache-Group-Invalidation", r.Header.Get("X-Groups"))
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Cache-Control", "max-age=3600")
		switch r.URL.Path {
		case "/a", "/held":
			w.Header().Set("Cache-Groups", `"one", "two";x=1`)
		case "/b":
			w.Header().Set("Surrogate-Key", "one three")
		case "/c":
			w.Header().Set("Cache-Tag", "three, four")
		case "/many":
			for i := range 90 {
				w.Header().Add("Cache-Groups", fmt.Sprintf(`"g%d"`, i))
			}
		}
		body := fmt.Sprintf("answer %d", n.Add(1))
		if r.URL.Path == "/held" {
			select {
			case open := <-hold:
				held <- struct{}{}
				<-open
			default:
			}
		}
		fmt.Fprint(w, body)
	}))
	t.Cleanup(b.Close)
	s := startBefore(t, b.URL, policiesFile(t,
		"version: 1\nroutes:\n  - {match: GET /, cache: {scope: shared, tags: [one]}}\n"))
	write := func(groups string) {
		t.Helper()
		if a := do(t, http.MethodPost, s.url+"/elsewhere", "x", "X-Groups: "+groups,
			sameHost); a.status != http.StatusNoContent {
			t.Fatalf("POST: %d", a.status)
		}
	}
	cached := func(path string) {
		t.Helper()
		awaitThat(t, path+" is a hit", func() bool { return s.get(path).hit() })
	}
	all := []string{"/a", "/b", "/c", "/d", "/many"}
	for _, c := range []struct {
		groups string
		gone   map[string]bool
	}{
		{`"two"`, map[string]bool{"/a": true}},
		// and not all that the policy tags "one"
		{`"one"`, map[string]bool{"/a": true, "/b": true}},
		{`"three"`, map[string]bool{"/b": true, "/c": true}},
		{`"nobody"`, map[string]bool{}},
		{`one`, map[string]bool{}}, // a token is no name of a group
		{`"g17"`, map[string]bool{}},
	} {
		for _, path := range all {
			cached(path)
		}
		write(c.groups)
		for _, path := range all {
			// An answer with too many groups is invalidated by every write that names a group.
			want := c.gone[path] || path == "/many"
			if a := s.get(path); a.hit() == want {
				t.Errorf("after a write to %s, %s is %q", c.groups, path, a.cache())
			}
		}
	}

	// Its groups were not known when it was asked for.
	open := make(chan struct{})
	hold <- open
	old := make(chan answer, 1)
	go func() { old <- s.get("/held") }()
	<-held
	write(`"two"`)
	close(open)
	was := <-old
	if a := s.get("/held"); string(a.body) == string(was.body) {
		t.Errorf("after the write: %q %q", a.cache(), a.body)
	}
	cached("/held")
	write(`"two"`)
	if a := s.get("/held"); a.hit() {
		t.Errorf("its names were not learned: %q", a.cache())
	}
}
