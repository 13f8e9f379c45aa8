package proxy

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"sidecar/cachekeys"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/store"
	"sidecar/policy"
)

// A closeable is a backend's body that knows whether it was closed.
type closeable struct {
	io.Reader
	closed bool
}

func (c *closeable) Close() error { c.closed = true; return nil }

// The answer is to be stored, and the reading of its tags panics before another goroutine has the
// body in hand.
func TestABodyIsClosedWhereSomethingPanicsBeforeItIsTakenInHand(t *testing.T) {
	req := httpfield.Request{Method: http.MethodGet, Fields: httpfield.Header{}}
	rules := httpcache.Rules{Shared: true}
	read := &policy.ReadPlan{
		Rules: rules, Demand: httpcache.Read(rules, req),
		Cache: &policy.Cache{MaxBody: 1 << 20, Tags: []*cachekeys.Template{nil}},
	}
	m := &miss{proxy: &Proxy{}, fill: &store.Fill{},
		x: &exchange{req: req, plan: &policy.Plan{Read: read}}}
	body := &closeable{Reader: strings.NewReader("x")}
	resp := &http.Response{StatusCode: http.StatusOK, ProtoMajor: 1, ContentLength: 1, Body: body,
		Header: http.Header{"Cache-Control": {"max-age=60"}}}
	panicked := func() (v any) {
		defer func() { v = recover() }()
		m.answer(outcome{resp: resp})
		return nil
	}()
	if panicked == nil || !m.x.out.Stored {
		t.Fatalf("it was to panic after it was to be stored: panic %v, stored %t", panicked,
			m.x.out.Stored)
	}
	if !body.closed {
		t.Error("the body is left open")
	}
}
