package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// trusting makes the test's client a trusted peer; without it no peer is.
func trusting(o *setup) {
	o.backend.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// tells answers with the fields that it is told, by name, and its number.
func tells(names ...string) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, r *http.Request, n int) {
		body := fmt.Sprint(n, " ", r.Host)
		for _, name := range names {
			body += " " + strings.Join(r.Header.Values(name), "+")
		}
		write(w, body)
	}
}

// ask sends a GET, and reports its body and whether it was a hit.
func (s *sidecar) ask(path string, fields ...string) (body string, hit bool) {
	s.t.Helper()
	a := s.get(path, fields...)
	if a.err != nil || a.status >= 400 {
		s.t.Fatalf("%s %q: %d %v", path, fields, a.status, a.err)
	}
	return a.body, strings.HasPrefix(a.cache(), "hit")
}

func TestASchemeAuthorityOrPrefixThatATrustedPeerNamesMakesAnEntryOfItsOwn(t *testing.T) {
	s := start(t, backendThat(t, tells("X-Forwarded-Host", "X-Forwarded-Proto")), items, trusting)
	const host = "Host: api.example"
	seen := map[string]string{}
	for _, fields := range [][]string{
		{host},
		{"Host: API.example"},
		{"Host: api.example:80"},
		{host, "X-Forwarded-Proto: https"},
		{host, "X-Forwarded-Host: evil.example"},
		{host, "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"},
		{host, "X-Forwarded-Port: 8443"},
		{host, "X-Forwarded-Prefix: /a"},
		{host, "Forwarded: for=203.0.113.7;host=evil.example"},
		{host, "Forwarded: for=203.0.113.7"},
		{host, "X-Forwarded-Ssl: on"},
		{host, "X-Host: evil.example"},
		{host, "X-Original-Host: evil.example"},
	} {
		name := fmt.Sprint(fields)
		body, hit := s.ask("/items/1", fields...)
		if other, known := seen[body]; known || hit {
			t.Errorf("%s has the entry of %s: %q", name, other, body)
		}
		seen[body] = name
		if again, hit := s.ask("/items/1", fields...); again != body || !hit {
			t.Errorf("%s again: %q, a hit: %t", name, again, hit)
		}
	}
}

// Whether Forwarded is believed depends on fields and parameters that are not of the target.
func TestTheKeyFollowsWhatIsMadeOfForwarded(t *testing.T) {
	s := start(t, backendThat(t, tells("X-Forwarded-Host", "X-Forwarded-Proto")), items, trusting)
	told := map[string]string{} // by the number of the answer
	for _, fields := range [][]string{
		{`Forwarded: for=203.0.113.7;host=www.example;proto=https`},
		{`Forwarded: for=203.0.113.7;host=www.example;proto=https`, "X-Real-Ip: 203.0.113.7"},
		{`Forwarded: for=203.0.113.7;host=www.example;proto=https`, "X-Forwarded-For: 203.0.113.7"},
		{`Forwarded: for=203.0.113.7;for=203.0.113.8;host=www.example;proto=https`},
		{`Forwarded: for="";host=www.example;proto=https`},
		{`Forwarded: host=www.example;by=_a;by=_b;proto=https`},
		{`Forwarded: host=www.example;by=_a;proto=https`},
	} {
		fields = append(fields, "Host: api.example")
		body, _ := s.ask("/items/1", fields...)
		direct, _ := s.ask("/other", fields...)
		_, got, _ := strings.Cut(body, " ")
		_, want, _ := strings.Cut(direct, " ")
		if told[body] = want; got != want {
			t.Errorf("%q: it has the answer to %q, and the backend is told %q", fields, got, want)
		}
	}
	if len(told) != 2 {
		t.Errorf("%d answers are stored, want 2: %q", len(told), told)
	}
}

func TestARedirectToHTTPSIsNotServedOverHTTPS(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		if r.Header.Get("X-Forwarded-Proto") == "https" {
			write(w, "the page")
			return
		}
		w.Header().Set("Location", "https://api.example"+r.RequestURI)
		w.Header().Set("Cache-Control", "public, max-age=3600")
		w.WriteHeader(http.StatusMovedPermanently)
	})
	s := start(t, b, items, trusting)
	for range 2 {
		if a := s.get("/items/1",
			"X-Forwarded-Proto: http"); a.status != http.StatusMovedPermanently {
			t.Errorf("over http: %d", a.status)
		}
		if a := s.get("/items/1", "X-Forwarded-Proto: https"); a.status != http.StatusOK {
			t.Errorf("over https: %d", a.status)
		}
	}
	if got := b.requests.Load(); got != 2 {
		t.Errorf("the backend was asked %d times", got)
	}
}

func TestAnUntrustedPeerNamesNoOtherTarget(t *testing.T) {
	s := start(t, backendThat(t,
		tells("X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded")), items)
	want, _ := s.ask("/items/1", "Host: api.example")
	for _, field := range []string{
		"X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https", "X-Forwarded-Port: 1",
		"X-Forwarded-Prefix: /a", "X-Forwarded-Scheme: https",
		"Forwarded: host=evil.example;proto=https", "X-Forwarded-For: 203.0.113.7",
	} {
		if body, hit := s.ask("/items/1", "Host: api.example", field); body != want || !hit {
			t.Errorf("%s: %q, a hit: %t", field, body, hit)
		}
	}
}

func TestAnAbsoluteTargetWinsOverHost(t *testing.T) {
	s := start(t, backendThat(t, tells()), items)
	want, _ := s.ask("/items/1", "Host: api.example")
	got := s.raw(
		"GET http://api.example/items/1 HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n" +
			"\r\n")
	if !strings.Contains(got, "sidecar; hit") || !strings.HasSuffix(got, want) {
		t.Errorf("%q", got)
	}
	if body, hit := s.ask("/items/1", "Host: other.example"); hit {
		t.Errorf("of the other host: %q", body)
	}
}

func TestVaryComparesTheFieldsAsTheyAreSent(t *testing.T) {
	for _, name := range []string{"X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Proto",
		"X-Forwarded-Host", "Via", "TE"} {
		t.Run(name, func(t *testing.T) {
			for _, routes := range []string{
				`routes: [{match: "GET /a", cache: {scope: shared, ttl: 1h}}]`,
				`routes: [{match: "GET /a", cache: {scope: shared, ttl: 1h, vary: [` + name +
					`]}}]`,
			} {
				b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
					if !strings.Contains(routes, "vary") {
						w.Header().Set("Vary", name)
					}
					write(w, strings.Join(r.Header.Values(name), "+"))
				})
				s := start(t, b, routes)
				want, _ := s.ask("/a")
				if body, hit := s.ask("/a"); body != want || !hit {
					t.Errorf("again: %q, a hit: %t", body, hit)
				}
				// A replaced field makes no difference; one that is sent on does.
				claimed, hit := s.ask("/a", name+": 203.0.113.7")
				if passes := name == "Via"; passes == hit || passes == (claimed == want) {
					t.Errorf("%s: claimed, %q, a hit: %t", routes, claimed, hit)
				}
			}
		})
	}
}

func TestTwoClientsBehindATrustedPeerAreToldApart(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		write(w, r.Header.Get("X-Real-Ip"), "Vary: X-Real-IP")
	})
	s := start(t, b, items, trusting)
	for _, client := range []string{"203.0.113.7", "203.0.113.8", "203.0.113.7"} {
		// The API varies on a field that nobody sent.
		if body, _ := s.ask("/items/1", "X-Forwarded-For: "+client); body != client {
			t.Errorf("%s is given the answer for %s", client, body)
		}
	}
	if got := b.requests.Load(); got != 2 {
		t.Errorf("the backend was asked %d times", got)
	}
}

func TestTagsOfAFieldAreThoseOfTheFieldThatIsSent(t *testing.T) {
	b := backendThat(t, counts())
	s := start(t, b, `routes:
  - {match: "GET /a", cache: {scope: shared, ttl: 1h, tags: ["host:{header.X-Forwarded-Host}"]}}
  - {match: "PUT /b", invalidate: ["host:{header.X-Forwarded-Host}"]}
`)
	s.ask("/a", "Host: api.example", "X-Forwarded-Host: evil.example")
	if _, hit := s.ask("/a", "Host: api.example"); !hit {
		t.Error("a field that is replaced counts")
	}
	s.do(t.Context(), http.MethodPut, "/b", nil, "Host: api.example",
		"X-Forwarded-Host: other.example")
	if body, hit := s.ask("/a", "Host: api.example"); hit {
		t.Errorf("after the write: %q", body)
	}
}

func TestFieldNamesOverHTTP2AreJudgedAlike(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		write(w, fmt.Sprint(r.Header["X_forwarded_for"], r.Header["X_tenant"]))
	})
	s := start(t, b, items, trusting)
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	t.Cleanup(transport.CloseIdleConnections)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/items/1", nil)
	check(t, err)
	req.Header["x_forwarded_for"], req.Header["x_tenant"] = []string{"203.0.113.7"}, []string{"a"}
	resp, err := transport.RoundTrip(req)
	check(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	check(t, err)
	if status := resp.Header.Get(
		"Cache-Status"); status != "sidecar; fwd=bypass; detail=field-name" ||
		string(body) != "[] [a]" || resp.ProtoMajor != 2 {
		t.Errorf("%s, %s: %q", resp.Proto, status, body)
	}
}

func TestAFieldNameThatServersTakeForAnotherKeepsTheRequestOutOfTheCache(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		write(w, fmt.Sprint("answer ", n, r.Header["Accept_language"], r.Header["X_tenant"],
			r.Header["X_forwarded_for"], r.Header["X_real_ip"]), "Vary: Accept-Language")
	})
	s := start(t, b, items, trusting)
	for _, field := range []string{"Accept_Language: X", "X_Tenant: a", "Accept.Language: X",
		"X_Forwarded_For: 203.0.113.7"} {
		a := s.get("/items/1", field)
		if a.cache() != "fwd=bypass; detail=field-name" {
			t.Errorf("%s: %s", field, a.cache())
		}
	}
	if body, hit := s.ask("/items/1"); hit || body != "answer 5 [] [] [] []" {
		t.Errorf("an ordinary request: %q, a hit: %t", body, hit)
	}
	if a := s.get("/items/1", "Accept_Language: X", "X_Forwarded_For: 203.0.113.7",
		"X_Real_IP: 203.0.113.7"); a.body != "answer 6 [X] [] [] []" {
		t.Errorf("the API is sent %q", a.body)
	}
	if _, hit := s.ask("/items/1"); !hit {
		t.Error("the entry is gone")
	}
}

// Node reads the first 2,000 fields of a request, and says nothing of the others.
func TestARequestWithMoreFieldsThanAllServersReadStaysOutOfTheCache(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		tenant := r.Header.Get("X-Tenant")
		if len(r.Header["A"]) >= 2000 {
			tenant = ""
		}
		write(w, "tenant "+tenant, "Vary: X-Tenant")
	})
	s := start(t, b, items)
	crowd := func(n int) []string {
		fields := []string{"X-Tenant: a"}
		for i := range n {
			fields = append(fields, fmt.Sprintf("A: %d", i))
		}
		return fields
	}
	for _, n := range []int{2000, 100} {
		if a := s.get("/items/1", crowd(n)...); a.cache() != "fwd=bypass; detail=field-count" {
			t.Errorf("%d fields: %q, %s", n, a.body, a.cache())
		}
	}
	if a := s.get("/items/1", "X-Tenant: a"); a.body != "tenant a" {
		t.Errorf("an ordinary request is answered %q, %s", a.body, a.cache())
	}
	if a := s.get("/items/2", crowd(80)...); a.cache() != "fwd=uri-miss; stored" {
		t.Errorf("80 fields: %s", a.cache())
	}
}

func TestAFieldThatNamesAnotherTargetIsObeyedByTheCacheToo(t *testing.T) {
	// The API is one of those that take the field's path for that of the request.
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		path := r.URL.Path
		if other := r.Header.Get("X-Original-URL"); other != "" {
			path = other
		}
		write(w, fmt.Sprint(path, " ", n))
	})
	s := start(t, b, items+"  - {match: \"/internal/{rest...}\", deny: true}\n", trusting)
	if a := s.get("/items/1", "X-Original-URL: /items/2"); a.body != "/items/2 1" ||
		a.cache() != "fwd=bypass; detail=other-target" {
		t.Errorf("a GET with another target: %q %s", a.body, a.cache())
	}
	if body, hit := s.ask("/items/1"); body != "/items/1 2" || hit {
		t.Errorf("a GET after it: %q", body)
	}
	s.do(t.Context(), http.MethodPut, "/elsewhere", nil, "X-Original-URL: /items/1")
	if body, hit := s.ask("/items/1"); body != "/items/1 4" || hit {
		t.Errorf("after a write with its path in a field: %q", body)
	}
	if a := s.get("/items/1", "X-Original-URL: /internal/x"); a.status != http.StatusNotFound {
		t.Errorf("a denied path in a field: %d", a.status)
	}
}
