package jobhook

import (
	"net/http"
	"strings"
	"testing"
)

const page = "Origin: https://game.example"

func TestWithAccessLinkWhoHoldsTheIDHoldsTheJob(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	path := f.ask("POST", "/open", "a sword", alice).fields.Get("Location")
	for _, who := range [][]string{nil, {bob}, {alice}} {
		if a := f.ask("GET", path, "", who...); a.status != 200 {
			t.Errorf("%q: %d %s", who, a.status, a.body)
		}
	}
}

func TestTheFieldOfTheClientsKeyCanBeNamed(t *testing.T) {
	keys := make(chan string, 3)
	f := newFront(t, shared, func(_ http.ResponseWriter, r *http.Request) {
		keys <- r.Header.Get("X-Hook-Id") + " " + r.Header.Get("Idempotency-Key")
	}, nil)
	first := f.ask("POST", "/open", "a sword", alice, "X-Hook-Id: h1",
		"Idempotency-Key: k1").fields.Get("Location")
	again := f.ask("POST", "/open", "a sword", alice, "X-Hook-Id: h1",
		"Idempotency-Key: k2").fields.Get("Location")
	if first != again || first == "" {
		t.Errorf("%s and %s", first, again)
	}
	if got := <-keys; got != "h1 k1" {
		t.Errorf("the API got the keys %q", got)
	}
	if a := f.ask("POST", "/open", "a shield", alice, "X-Hook-Id: h1"); a.status != 422 ||
		!strings.Contains(a.body, "X-Hook-Id") {
		t.Errorf("%d %s", a.status, a.body)
	}
	other := f.ask("POST", "/open", "a bow", alice, "X-Hook-Id: h2")
	if got := <-keys; got != "h2 h2" {
		t.Errorf("%d: the API got the keys %q", other.status, got)
	}
	id := strings.TrimPrefix(f.ask("POST", "/open", "an axe", alice).fields.Get("Location"),
		"/_jobs/")
	if got := <-keys; got != id+" "+id {
		t.Errorf("the API got the keys %q, the job is %s", got, id)
	}
}

func TestAKeyThatIsTooLongIsRefused(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	if a := f.ask("POST", "/craft", "a sword", alice,
		"Idempotency-Key: "+strings.Repeat("k", 10<<10)); a.status != http.StatusBadRequest {
		t.Errorf("%d %s", a.status, a.body)
	}
	f.accept(alice, "Idempotency-Key: "+strings.Repeat("k", maxKey))
}

func TestTheSameContentIsTheSameJobWhereTheRouteSaysSo(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	post := func(body, who string, fields ...string) string {
		return f.ask("POST", "/once", body, append(fields, who)...).fields.Get("Location")
	}
	first := post("a sword", alice)
	if again := post("a sword", alice); again != first || first == "" {
		t.Errorf("%s and %s", first, again)
	}
	if post("a shield", alice) == first || post("a sword", bob) == first ||
		post("a sword", alice, "Idempotency-Key: k") == first {
		t.Error("another content, caller or key leads to the job")
	}
	if one, other := post("a sword", "X-Nobody: 1"), post("a sword", "X-Nobody: 1"); one == other {
		t.Error("two clients without credentials share a job")
	}
}

func TestABodyThatIsTooLongIsRefusedWhereTheRouteSaysSo(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	if a := f.ask("POST", "/open", strings.Repeat("x", 33), alice,
		page); a.status != http.StatusRequestEntityTooLarge ||
		a.fields.Get("Access-Control-Allow-Origin") != "https://game.example" {
		t.Errorf("%d %v %s", a.status, a.fields, a.body)
	}
}

func TestPagesOfTheRoutesOriginsMayReadItsAnswers(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	a := f.ask("POST", "/open", "a sword", alice, page)
	path := a.fields.Get("Location")
	grants := func(what string, a answer, want bool) {
		t.Helper()
		if got := a.fields.Get("Access-Control-Allow-Origin") == "https://game.example" &&
			a.fields.Get("Access-Control-Allow-Credentials") == "true"; got != want {
			t.Errorf("%s: %d %v", what, a.status, a.fields)
		}
	}
	grants("the 202", a, true)
	grants("a status", f.ask("GET", path, "", page), true)
	grants("a cancellation", f.ask("DELETE", path, "", page), true)
	grants("a job that is not there", f.ask("GET", "/_jobs/AAAAAAAAAAAAAAAAAAAAAA", "", page), true)
	grants("another origin", f.ask("GET", path, "", "Origin: https://evil.example"), false)
	if a := f.ask("GET", path, ""); a.fields.Get("Vary") != "Origin" {
		t.Errorf("without an origin: %v", a.fields)
	}
	closed := f.accept(alice)
	grants("another route", f.ask("GET", closed, "", alice, page), false)
}

func TestPreflightsAreAnswered(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	for _, c := range []struct{ path, method, allow string }{
		{"/open", "POST", "POST"}, {"/_jobs/AAAAAAAAAAAAAAAAAAAAAA", "DELETE", "GET, HEAD, DELETE"},
	} {
		a := f.ask("OPTIONS", c.path, "", page, "Access-Control-Request-Method: "+c.method,
			"Access-Control-Request-Headers: authorization,prefer")
		if a.status != 204 || a.fields.Get("Access-Control-Allow-Methods") != c.allow ||
			a.fields.Get("Access-Control-Allow-Headers") != "Authorization, Prefer" ||
			a.fields.Get("Access-Control-Allow-Credentials") != "true" {
			t.Errorf("%s: %d %v", c.path, a.status, a.fields)
		}
		evil := f.ask("OPTIONS", c.path, "", "Origin: https://evil.example",
			"Access-Control-Request-Method: "+c.method)
		if evil.fields.Get("Access-Control-Allow-Origin") != "" ||
			evil.fields.Get("Access-Control-Allow-Methods") != "" {
			t.Errorf("%s, another origin: %d %v", c.path, evil.status, evil.fields)
		}
	}
	if a := f.ask("OPTIONS", "/craft", "", page,
		"Access-Control-Request-Method: POST"); a.status != http.StatusTeapot {
		t.Errorf("a route without cors: %d", a.status)
	}
	if a := f.ask("OPTIONS", "/open", "", page,
		"Access-Control-Request-Method: PUT"); a.status != http.StatusTeapot {
		t.Errorf("another method: %d", a.status)
	}
}
