package proxy_test

import (
	"net/http"
	"strings"
	"testing"
)

// poisoned is an API that says of every answer that it may be shared, its errors too: it refuses
// some requests for a field, and knows an item only sometimes.
func poisoned(w http.ResponseWriter, r *http.Request, n int) {
	w.Header().Set("Cache-Control", "public, max-age=3600")
	switch {
	case len(r.Header.Get("X-Long")) > 4<<10, strings.Contains(r.Header.Get("Range"), "lines"),
		r.Header.Get("Content-Type") != "":
		w.WriteHeader(http.StatusBadRequest)
	case strings.Contains(r.Header.Get("Accept"), "x/y"):
		w.WriteHeader(http.StatusNotAcceptable)
	case r.Header.Get("Authorization") != "":
		w.WriteHeader(http.StatusForbidden)
	case r.Header.Get("X-Gone") != "":
		w.WriteHeader(http.StatusNotFound)
	case r.Header.Get("X-Bad") != "":
		w.WriteHeader(http.StatusBadRequest)
	}
	write(w, "answer")
}

func TestAnErrorThatAnswersAFieldIsNotStoredForAll(t *testing.T) {
	odd := []string{
		"X-Long: " + strings.Repeat("a", 9000), "Accept: x/y", "Content-Type: x",
		"Range: lines=1-2", "Authorization: x y z",
	}
	for _, c := range []struct {
		cache string
		plain bool // the 400 to a request that is not odd is stored
	}{
		{"scope: shared, ttl: 1h", false}, {"scope: shared", true},
		{"scope: shared, ttl: 1h, status: {400: 10s, 404: 10s}", true},
	} {
		s := start(t, backendThat(t, poisoned),
			`routes: [{match: "GET /a/{id}", cache: {`+c.cache+`}}]`)
		for i, field := range odd {
			if strings.Contains(c.cache, "status") {
				break // it is the policy's word
			}
			path := "/a/" + string(rune('a'+i))
			if a := s.get(path, field); a.status < 400 || strings.Contains(a.cache(), "stored") {
				t.Errorf("%s, %.20s: %d %s", c.cache, field, a.status, a.cache())
			}
			if a := s.get(path); a.status != http.StatusOK {
				t.Errorf("%s, after %.20s all get %d", c.cache, field, a.status)
			}
		}
		for field, stored := range map[string]bool{"X-Bad: 1": c.plain, "X-Gone: 1": true} {
			s.get("/a/"+field[2:3], field)
			if a := s.get("/a/"+field[2:3], field); strings.HasPrefix(a.cache(), "hit") != stored {
				t.Errorf("%s, %s: %s", c.cache, field, a.cache())
			}
		}
	}
}

func TestNoErrorTakesThePlaceOfAFreshSuccess(t *testing.T) {
	for _, cache := range []string{
		"scope: shared", "scope: private", "scope: shared, ttl: 1h",
		"scope: shared, ttl: 1h, status: {400: 1h, 404: 1h}, override: true",
	} {
		s := start(t, backendThat(t, poisoned),
			`routes: [{match: "GET /a/{id}", cache: {`+cache+`}}]`)
		for _, field := range []string{"X-Gone: 1", "X-Bad: 1"} {
			s.get("/a/1")
			if a := s.get("/a/1", "Cache-Control: no-cache", field); a.status < 400 ||
				strings.Contains(a.cache(), "stored") {
				t.Errorf("%s, %s: %d %s", cache, field, a.status, a.cache())
			}
			if a := s.get("/a/1"); a.status != http.StatusOK ||
				!strings.HasPrefix(a.cache(), "hit") {
				t.Errorf("%s, after %s: %d %s", cache, field, a.status, a.cache())
			}
		}
	}
}

func TestNoErrorTakesThePlaceOfOtherVariants(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("Cache-Control", "public, max-age=3600")
		if r.Header.Get("Accept-Language") == "zz" {
			w.WriteHeader(http.StatusNotFound)
		} else {
			w.Header().Set("Vary", "Accept-Language")
		}
		write(w, r.Header.Get("Accept-Language"))
	})
	s := start(t, b, items)
	s.get("/plain/1", "Accept-Language: en")
	s.get("/plain/1", "Accept-Language: zz")
	if a := s.get("/plain/1", "Accept-Language: en"); a.status != http.StatusOK ||
		!strings.HasPrefix(a.cache(), "hit") {
		t.Errorf("%d %s", a.status, a.cache())
	}
}

func TestAPartTakesThePlaceOfAFreshWholeOnlyIfItIsOfAnother(t *testing.T) {
	for _, c := range []struct {
		whole, part string // ETags
		stays       bool
	}{
		{"", "", true}, {`"a"`, "", true}, {"", `"a"`, true}, {`"a"`, `"a"`, true},
		{`W/"a"`, `W/"b"`, true}, {`"a"`, `"b"`, false},
	} {
		b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
			tag, body := c.whole, "0123456789"
			if r.Header.Get("Range") != "" {
				tag, body = c.part, "0"
				w.Header().Set("Content-Range", "bytes 0-0/10")
			}
			if tag != "" {
				w.Header().Set("ETag", tag)
			}
			if body == "0" {
				w.Header().Set("Content-Length", "1")
				w.WriteHeader(http.StatusPartialContent)
			}
			write(w, body)
		})
		s := start(t, b, items)
		s.get("/items/1")
		if a := s.get("/items/1", "Range: bytes=0-0",
			"Cache-Control: no-cache"); a.status != http.StatusPartialContent || a.body != "0" {
			t.Fatalf("%v: the part: %d %q %s", c, a.status, a.body, a.cache())
		}
		if a := s.get("/items/1"); a.body != "0123456789" ||
			strings.HasPrefix(a.cache(), "hit") != c.stays {
			t.Errorf("%v: %d %q %s", c, a.status, a.body, a.cache())
		}
	}
}
