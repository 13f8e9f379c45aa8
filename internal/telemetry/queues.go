package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// QueueStats are those of one queue, at one moment.
type QueueStats struct {
	Queue                                       string // as the policies name it
	Pending, Active, Scheduled, Retry, Archived int    // jobs
	Oldest                                      time.Duration
}

// Queues reads the queues whenever metrics are asked for. read is called from any goroutine, must end within a second
// or so even if Redis does not answer, gives each queue once, and gives nothing where nothing is known. It panics if it is called twice.
func (m *Metrics) Queues(read func() []QueueStats) {
	m.registry.MustRegister(&queueCollector{
		read:   read,
		depth:  prometheus.NewDesc(queueDepth, "Jobs in a queue, by state.", []string{"queue", "state"}, nil),
		oldest: prometheus.NewDesc(queueOldest, "How long the oldest pending job has waited.", []string{"queue"}, nil),
	})
}

type queueCollector struct {
	read          func() []QueueStats
	depth, oldest *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *queueCollector) Describe(to chan<- *prometheus.Desc) {
	to <- c.depth
	to <- c.oldest
}

// Collect implements prometheus.Collector.
func (c *queueCollector) Collect(to chan<- prometheus.Metric) {
	for _, q := range c.read() {
		depth := func(state string, jobs int) {
			to <- prometheus.MustNewConstMetric(c.depth, prometheus.GaugeValue, float64(jobs), q.Queue, state)
		}
		depth("pending", q.Pending)
		depth("active", q.Active)
		depth("scheduled", q.Scheduled)
		depth("retry", q.Retry)
		depth("archived", q.Archived)
		to <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, q.Oldest.Seconds(), q.Queue)
	}
}
