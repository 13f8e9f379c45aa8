package telemetry

import "github.com/prometheus/client_golang/prometheus"

// MemoryStats describe the in-process tier.
type MemoryStats struct {
	Bytes, Limit, Entries int64  // now
	Evictions             uint64 // since the start
}

// Memory registers read, which every scrape calls, from any goroutine. read must not block. A
// second call panics.
func (m *Metrics) Memory(read func() MemoryStats) {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, nil, nil)
	}
	m.registry.MustRegister(&memoryCollector{
		read:      read,
		bytes:     desc(memoryBytes, "Bytes of the in-process tier, with its own bookkeeping."),
		limit:     desc(memoryLimit, "Bytes that it may hold."),
		entries:   desc(memoryEntries, "Entries that it holds."),
		evictions: desc(memoryEvictions, "Entries that made room for others."),
	})
}

type memoryCollector struct {
	read                             func() MemoryStats
	bytes, limit, entries, evictions *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *memoryCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.bytes, c.limit, c.entries, c.evictions} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *memoryCollector) Collect(to chan<- prometheus.Metric) {
	s := c.read()
	to <- prometheus.MustNewConstMetric(c.bytes, prometheus.GaugeValue, float64(s.Bytes))
	to <- prometheus.MustNewConstMetric(c.limit, prometheus.GaugeValue, float64(s.Limit))
	to <- prometheus.MustNewConstMetric(c.entries, prometheus.GaugeValue, float64(s.Entries))
	to <- prometheus.MustNewConstMetric(c.evictions, prometheus.CounterValue, float64(s.Evictions))
}
