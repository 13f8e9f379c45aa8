package telemetry

import "github.com/prometheus/client_golang/prometheus"

// SpanStats are counts of spans since the start.
type SpanStats struct{ Exported, Failed, Dropped uint64 }

// Spans registers read, which every scrape calls, from any goroutine. read must not block. A second
// call panics. Where there are no traces it is not called.
func (m *Metrics) Spans(read func() SpanStats) {
	m.registry.MustRegister(&spansCollector{read: read, spans: prometheus.NewDesc(traceSpans,
		"Spans of traces: exported to the collector, failed there or on the way, or dropped.",
		[]string{"result"}, nil)})
}

type spansCollector struct {
	read  func() SpanStats
	spans *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *spansCollector) Describe(to chan<- *prometheus.Desc) { to <- c.spans }

// Collect implements prometheus.Collector.
func (c *spansCollector) Collect(to chan<- prometheus.Metric) {
	s := c.read()
	for _, n := range []struct {
		result string
		spans  uint64
	}{{"exported", s.Exported}, {"failed", s.Failed}, {"dropped", s.Dropped}} {
		to <- prometheus.MustNewConstMetric(c.spans, prometheus.CounterValue, float64(n.spans),
			n.result)
	}
}
