package pattern

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"pgregory.net/rapid"
)

// The oracle of this file is http.ServeMux itself: the contract says that patterns have its
// meaning.

// drawPattern draws a pattern over few segments, so that many of a set meet.
func drawPattern(t *rapid.T) string {
	source := rapid.SampledFrom([]string{"", "GET ", "GET ", "POST ", "HEAD "}).Draw(t, "method")
	for i := range rapid.IntRange(0, 3).Draw(t, "segments") {
		wildcard := "{" + rapid.SampledFrom([]string{"x", "y"}).Draw(t, "wildcard") +
			strconv.Itoa(i) + "}"
		source += "/" +
			rapid.SampledFrom([]string{"a", "b", "%61", "a%2Fb", wildcard, wildcard}).Draw(t,
				"segment")
	}
	end := rapid.SampledFrom([]string{"", "", "/", "/{$}", "/{rest...}"}).Draw(t, "end")
	if end == "" && (source == "" || source[len(source)-1] == ' ') {
		end = "/"
	}
	return source + end
}

// drawPath draws a path that is as ServeMux wants it: it would redirect '//' and dots.
func drawPath(t *rapid.T) string {
	path := ""
	for range rapid.IntRange(0, 4).Draw(t, "depth") {
		path += "/" + rapid.SampledFrom([]string{"a", "b", "c", "%61", "a%2Fb"}).Draw(t, "part")
	}
	if path == "" || rapid.Bool().Draw(t, "slash") {
		path += "/"
	}
	return path
}

// register reports whether mux takes the pattern.
func register(mux *http.ServeMux, pattern string, handler http.HandlerFunc) (taken bool) {
	defer func() { taken = recover() == nil }()
	mux.HandleFunc(pattern, handler)
	return
}

func mustPattern(t interface{ Fatal(...any) }, source string) *Pattern {
	p, err := Parse(source)
	if err != nil {
		t.Fatal(source, err)
	}
	return p
}

// bind matches one pattern.
func bind(p *Pattern, path string, how how) (map[string]string, bool) {
	var m Matcher[string]
	m.Add(p, "")
	found, ok := m.first(p.method, m.split(path, new(room)), how)
	return asMap(found.Values), ok
}

// asMap is nil for no values.
func asMap(values Values) map[string]string {
	if len(values) == 0 {
		return nil
	}
	m := map[string]string{}
	for _, v := range values {
		m[v.Name] = v.Text
	}
	return m
}

func TestPatternsConflictAndMatchAsInServeMux(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		mux, m := http.NewServeMux(), &Matcher[string]{}
		chosen, values := "", map[string]string{}
		for _, source := range rapid.SliceOfN(rapid.Custom(drawPattern), 1, 8).Draw(t, "patterns") {
			p := mustPattern(t, source)
			taken := register(mux, source, func(_ http.ResponseWriter, r *http.Request) {
				chosen = source
				for _, name := range p.Wildcards() {
					values[name] = r.PathValue(name)
				}
			})
			other, _ := m.Conflict(p)
			if taken == (other != nil) {
				t.Fatalf("%q: ServeMux takes it: %t, here it conflicts with %v: %t",
					source, taken, other, other != nil)
			}
			if taken {
				m.Add(p, source)
			}
		}
		for range 10 {
			method := rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT"}).Draw(t, "request")
			path := drawPath(t)
			chosen = ""
			clear(values)
			answer := httptest.NewRecorder()
			mux.ServeHTTP(answer, httptest.NewRequest(method, path, nil))
			if answer.Code == http.StatusMovedPermanently ||
				answer.Code == http.StatusTemporaryRedirect {
				// ServeMux adds a slash and has the client ask again, where the sidecar asks the
				// backend
				continue
			}
			got := ""
			found, ok := m.Find(method, path)
			if ok {
				got = found.Target
			}
			if got != chosen || !maps.Equal(asMap(found.Values), values) {
				t.Fatalf("%s %s: found %q with %v, ServeMux chooses %q with %v",
					method, path, got, found.Values, chosen, values)
			}
		}
	})
}

// covers(p, q) defines "more specific": where it holds, every request of q is one of p.
func TestWhatCoversAPatternMatchesAllThatItMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, q := mustPattern(t, drawPattern(t)), mustPattern(t, drawPattern(t))
		path := drawPath(t)
		_, inP := bind(p, path, exactly)
		_, inQ := bind(q, path, exactly)
		if coversPath(p.segments, q.segments) && inQ && !inP {
			t.Fatalf("%s covers %s, which alone matches %q", p.source, q.source, path)
		}
		if inP && inQ && !meetsPath(p.segments, q.segments) {
			t.Fatalf("%s and %s do not meet, and both match %q", p.source, q.source, path)
		}
		if p.covers(q) && !p.meets(q) {
			t.Fatalf("%s covers %s without meeting it", p.source, q.source)
		}
	})
}

func TestAPatternBindsWhatItsWildcardsStandFor(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		empty         bool
		want          map[string]string // nil: no match
	}{
		{"GET /a/{id}", "/a/1", false, map[string]string{"id": "1"}},
		{"GET /a/{id}", "/a/%31%2F2", false, map[string]string{"id": "1/2"}},
		{"GET /a/{id}", "/a/1/", false, nil},
		{"GET /a/{id}", "/a/", false, nil},
		{"GET /a/{id}", "/a/", true, map[string]string{"id": ""}},
		{"GET /a/{id}", "/a", true, nil},
		{"GET /a/{id}/b/{x}", "/a/1/b/2", false, map[string]string{"id": "1", "x": "2"}},
		{"GET /a/{id}/b", "/a//b", true, map[string]string{"id": ""}},
		{"GET /a/{rest...}", "/a/", false, map[string]string{"rest": ""}},
		{"GET /a/{rest...}", "/a/b/c/", false, map[string]string{"rest": "b/c/"}},
		{"GET /a/{rest...}", "/a", false, nil},
		{"GET /a/", "/a/b/c", false, map[string]string{}},
		{"GET /a/{$}", "/a/", false, map[string]string{}},
		{"GET /a/{$}", "/a/b", false, nil},
		{"GET /{$}", "/", false, map[string]string{}},
		{"GET /a%2Fb", "/a%2fb", false, map[string]string{}},
		{"GET /a%2Fb", "/a/b", false, nil},
		{"GET /a", "/A", false, nil},
	} {
		got, ok := bind(mustPattern(t, c.pattern), c.path, how{empty: c.empty})
		if ok != (c.want != nil) || ok && !maps.Equal(got, c.want) {
			t.Errorf("%s binds %s (empty %t) to %v, %t; want %v",
				c.pattern, c.path, c.empty, got, ok, c.want)
		}
	}
}
