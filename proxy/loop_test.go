package proxy_test

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// An API that leads back to the sidecar must not keep it busy, also where the request would wait
// for its own answer.
func TestARequestThatComesBackIsALoop(t *testing.T) {
	for _, via := range []bool{true, false} {
		var back atomic.Pointer[httputil.ReverseProxy]
		b := backendThat(t,
			func(w http.ResponseWriter, r *http.Request, _ int) { back.Load().ServeHTTP(w, r) })
		s := start(t, b,
			"routes: [{match: 'GET /c/{id}', cache: {scope: shared, ttl: 1m}}, {match: 'PUT "+
				"/c/{id}', invalidate: ['x']}]",
			func(o *setup) { o.backend.Via = via })
		target, err := url.Parse(s.url)
		check(t, err)
		back.Store(httputil.NewSingleHostReverseProxy(target))
		for n, request := range []string{"GET /c/1", "PUT /c/1", "GET /other", "POST /other"} {
			method, path, _ := strings.Cut(request, " ")
			got := s.do(t.Context(), method, path, strings.NewReader(""))
			if got.status != http.StatusLoopDetected || !strings.Contains(got.cache(), "loop") {
				t.Errorf("%s: %d %q %v", request, got.status, got.fields, got.err)
			}
			if sent := int(b.requests.Load()); sent != n+1 {
				t.Errorf("%s: %d requests went round", request, sent-n)
			}
		}
	}
}
