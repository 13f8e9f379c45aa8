package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// QueueStats describe one queue at one moment.
type QueueStats struct {
	Queue                                       string // its name in the policies
	Pending, Active, Scheduled, Retry, Archived int    // jobs
	Oldest                                      time.Duration
}

// Slots registers read, which every scrape calls, from any goroutine. It returns how many jobs of
// each route wait for a slot, and ends as that of Queues. A second call panics.
func (m *Metrics) Slots(read func() map[string]int) {
	m.registry.MustRegister(&slotCollector{read, prometheus.NewDesc(slotWaiting,
		"Jobs that wait since their route, or their caller in it, runs as many as it may.",
		[]string{"job_type"}, nil)})
}

type slotCollector struct {
	read    func() map[string]int
	waiting *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *slotCollector) Describe(to chan<- *prometheus.Desc) { to <- c.waiting }

// Collect implements prometheus.Collector.
func (c *slotCollector) Collect(to chan<- prometheus.Metric) {
	for route, n := range c.read() {
		to <- prometheus.MustNewConstMetric(c.waiting, prometheus.GaugeValue,
			float64(n), label(route))
	}
}

// Queues registers read, which every scrape calls, from any goroutine. read must end within about a
// second even if Redis does not answer, and return each queue once, or nothing if the numbers are
// unknown. A second call panics.
func (m *Metrics) Queues(read func() []QueueStats) {
	m.registry.MustRegister(&queueCollector{
		read: read,
		depth: prometheus.NewDesc(queueDepth, "Jobs in a queue, by state.",
			[]string{"queue", "state"}, nil),
		oldest: prometheus.NewDesc(queueOldest, "How long the oldest pending job has waited.",
			[]string{"queue"}, nil),
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
			to <- prometheus.MustNewConstMetric(c.depth, prometheus.GaugeValue, float64(jobs),
				q.Queue, state)
		}
		depth("pending", q.Pending)
		depth("active", q.Active)
		depth("scheduled", q.Scheduled)
		depth("retry", q.Retry)
		depth("archived", q.Archived)
		to <- prometheus.MustNewConstMetric(c.oldest, prometheus.GaugeValue, q.Oldest.Seconds(),
			q.Queue)
	}
}
