package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// BackendAsked records a request to the backend. status is a class, or another word of a short
// list; took is the time to the head of its answer; trace is the id of its trace, "" for none.
func (m *Metrics) BackendAsked(status string, took time.Duration, trace string) {
	observe(m.backendAsked.of(status), took, trace)
}

// Backend registers read, which every scrape calls, from any goroutine: whether the backend
// answered when it was asked last; known is false before that. A second call panics.
func (m *Metrics) Backend(read func() (up, known bool)) {
	m.registry.MustRegister(&backendCollector{read: read, up: prometheus.NewDesc(backendUp,
		"Whether the backend answered when it was asked last.", nil, nil)})
}

type backendCollector struct {
	read func() (up, known bool)
	up   *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *backendCollector) Describe(to chan<- *prometheus.Desc) { to <- c.up }

// Collect implements prometheus.Collector.
func (c *backendCollector) Collect(to chan<- prometheus.Metric) {
	up, known := c.read()
	if !known {
		return
	}
	value := 0.0
	if up {
		value = 1
	}
	to <- prometheus.MustNewConstMetric(c.up, prometheus.GaugeValue, value)
}
