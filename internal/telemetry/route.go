package telemetry

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Route returns the metrics of a route of the policies; "" is for requests that no route matched.
// The policies bound the number of names; those of removed routes stay.
func (m *Metrics) Route(name string) *RouteMetrics { return m.routes.of(name) }

func (m *Metrics) newRoute(name string) *RouteMetrics {
	r := &RouteMetrics{metrics: m, name: label(name)}
	r.bytesIn, r.bytesOut = m.requestBytes.WithLabelValues(r.name),
		m.responseBytes.WithLabelValues(r.name)
	r.bypasses.make = func(why string) prometheus.Counter {
		return m.bypasses.WithLabelValues(r.name, why)
	}
	return r
}

// RouteMetrics are the series of one route, each made on first use and then found without a search.
type RouteMetrics struct {
	metrics *Metrics
	name    string

	bytesIn, bytesOut prometheus.Counter
	results           [results]atomic.Pointer[resultMetrics]
	requests          [methods][statuses]atomic.Pointer[prometheus.Counter]
	bypasses          series[prometheus.Counter] // by reason
}

// resultMetrics are the series of one route and result.
type resultMetrics struct {
	duration prometheus.Observer
	cache    prometheus.Counter // hits or misses; nil for a result that is neither
}

func (r *RouteMetrics) finished(o *Outcome, now time.Time) {
	result := r.result(o.Result)
	observe(result.duration, o.Duration(now), o.Trace)
	if result.cache != nil {
		result.cache.Inc()
	}
	r.request(o.Method, o.Status).Inc()
	if why := o.bypassed(); why != "" {
		r.bypasses.of(string(why)).Inc()
	}
	r.bytesIn.Add(float64(max(0, o.BytesIn)))
	r.bytesOut.Add(float64(max(0, o.BytesOut)))
}

// result finds the series of a result. Goroutines that race to make them make the same ones.
func (r *RouteMetrics) result(result Result) *resultMetrics {
	i, text := resultLabel(result)
	if s := r.results[i].Load(); s != nil {
		return s
	}
	s := &resultMetrics{duration: r.metrics.requestDuration.WithLabelValues(r.name, text)}
	switch result {
	case ResultHit, ResultStale, ResultMiss:
		// both: a route that is never hit has a hit ratio, too
		hits, misses := r.metrics.cacheHits.WithLabelValues(r.name),
			r.metrics.cacheMisses.WithLabelValues(r.name)
		if s.cache = hits; result == ResultMiss {
			s.cache = misses
		}
	}
	r.results[i].Store(s)
	return s
}

func (r *RouteMetrics) request(method string, status int) prometheus.Counter {
	m, methodText := methodLabel(method)
	s, statusText := statusLabel(status)
	slot := &r.requests[m][s]
	if c := slot.Load(); c != nil {
		return *c
	}
	c := r.metrics.requests.WithLabelValues(r.name, methodText, statusText)
	slot.Store(&c)
	return c
}

// The number of values of each label.
const results, methods, statuses = 8, 10, 6

// resultLabel is the array index and the label of a result.
func resultLabel(r Result) (int, string) {
	switch r {
	case ResultHit:
		return 1, "hit"
	case ResultMiss:
		return 2, "miss"
	case ResultStale:
		return 3, "stale"
	case ResultBypass:
		return 4, "bypass"
	case ResultWrite:
		return 5, "write"
	case ResultJob:
		return 6, "job"
	case ResultDeny:
		return 7, "deny"
	}
	return 0, "refused"
}

// methodLabel is the array index and the label of a method. A client may send any token as its
// method.
func methodLabel(method string) (int, string) {
	switch method {
	case http.MethodGet:
		return 1, "GET"
	case http.MethodHead:
		return 2, "HEAD"
	case http.MethodPost:
		return 3, "POST"
	case http.MethodPut:
		return 4, "PUT"
	case http.MethodPatch:
		return 5, "PATCH"
	case http.MethodDelete:
		return 6, "DELETE"
	case http.MethodOptions:
		return 7, "OPTIONS"
	case http.MethodTrace:
		return 8, "TRACE"
	case http.MethodConnect:
		return 9, "CONNECT"
	}
	return 0, "other"
}

// statusLabel is the array index and the class of a status; "none" without a response.
func statusLabel(status int) (int, string) {
	switch status / 100 {
	case 1:
		return 1, "1xx"
	case 2:
		return 2, "2xx"
	case 3:
		return 3, "3xx"
	case 4:
		return 4, "4xx"
	case 5, 6, 7, 8, 9: // RFC 9110 §15: an unknown class is treated as a server error
		return 5, "5xx"
	}
	return 0, "none"
}
