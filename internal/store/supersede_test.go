package store_test

import (
	"net/http"
	"testing"
	"time"

	"sidecar/internal/entry"
	"sidecar/internal/reason"
)

// failed is an error, as answer is a success.
func failed(vary ...string) *entry.Entry {
	e, err := entry.New(http.StatusNotFound, http.Header{"Content-Type": {"text/plain"}})
	if err != nil {
		panic(err)
	}
	e.Body, e.Vary = []byte("error"), vary
	e.ResponseTime, e.Lifetime = entry.At(time.Now()), time.Hour
	return e
}

func TestAnErrorIsNotWrittenOverASuccessThatWasStoredMeanwhile(t *testing.T) {
	w := newWorld(t)
	english := http.Header{"Accept-Language": {"en"}}
	for _, c := range []struct {
		name   string
		held   *entry.Entry
		error  *entry.Entry
		fields http.Header // of the request for the error
		write  bool        // one comes between
		want   reason.Reason
	}{
		{"nothing is there", nil, failed(), nil, false, ""},
		{"a success", answer("success"), failed(), nil, false, reason.FreshSuccess},
		{"an error", failed(), failed(), nil, false, ""},
		{"a success that a write has made old", answer("success"), failed(), nil, true, ""},
		{"a variant", answer("success", "Accept-Language"), failed("Accept-Language"), english,
			false, reason.FreshSuccess},
		{"another variant", answer("success", "Accept-Language"), failed("Accept-Language"),
			http.Header{"Accept-Language": {"de"}}, false, ""},
		{"variants, by an error for all", answer("success", "Accept-Language"), failed(),
			http.Header{"Accept-Language": {"de"}}, false, reason.FreshSuccess},
		{"variants that a write has made old, by an error for all",
			answer("success", "Accept-Language"), failed(), english, true, ""},
		{"a success for all, by a variant", answer("success"), failed("Accept-Language"), english,
			false, reason.FreshSuccess},
	} {
		late := w.begin(query("/"+c.name, c.fields))
		if c.held != nil {
			if why := w.keep(w.begin(query("/"+c.name, english)), c.held, noNames); why != "" {
				t.Fatal(why)
			}
		}
		if c.write {
			w.invalidate(tag)
			late = w.begin(query("/"+c.name, c.fields))
		}
		if why := w.keep(late, c.error, noNames); why != c.want {
			t.Errorf("%s: %q, want %q", c.name, why, c.want)
		}
		if c.held != nil && c.held.Status == http.StatusOK && !c.write {
			w.wantBody(query("/"+c.name, english), "success")
		}
	}
}
