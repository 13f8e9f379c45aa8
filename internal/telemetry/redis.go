package telemetry

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// RedisMetrics are the metrics of one connection to Redis. It is safe for concurrent use.
type RedisMetrics struct {
	metrics *Metrics
	name    string

	state   prometheus.Gauge
	trips   prometheus.Counter
	breaker atomic.Int32
	ops     sync.Map // string to *opMetrics; bounded by the operation names in the code
}

type opMetrics struct {
	duration prometheus.Observer
	errors   prometheus.Counter
}

// Redis returns the metrics of the connection with this name: "cache" or "jobs".
func (m *Metrics) Redis(name string) *RedisMetrics {
	return &RedisMetrics{
		metrics: m, name: name,
		state: m.breakerState.WithLabelValues(name), trips: m.breakerTrips.WithLabelValues(name),
	}
}

// Operation records one Redis operation. op is a constant of the code.
func (r *RedisMetrics) Operation(op string, took time.Duration, failed bool) {
	found, ok := r.ops.Load(op)
	if !ok {
		found, _ = r.ops.LoadOrStore(op, &opMetrics{
			duration: r.metrics.redisDuration.WithLabelValues(r.name, op),
			errors:   r.metrics.redisErrors.WithLabelValues(r.name, op),
		})
	}
	series := found.(*opMetrics)
	series.duration.Observe(took.Seconds())
	if failed {
		series.errors.Inc()
	}
}

// A BreakerState is the state of a circuit breaker, with gobreaker's numbers.
type BreakerState int32

// The states.
const (
	BreakerClosed BreakerState = iota
	BreakerHalfOpen
	BreakerOpen
)

// Breaker records the state of the connection's breaker. From half-open back to open counts as no
// new trip.
func (r *RedisMetrics) Breaker(s BreakerState) {
	r.state.Set(float64(s))
	if before := BreakerState(r.breaker.Swap(int32(s))); before == BreakerClosed &&
		s == BreakerOpen {
		r.trips.Inc()
	}
}

// PoolStats describe a connection pool.
type PoolStats struct {
	Hits, Misses, Timeouts, Stale uint64 // since the start
	Connections, Idle             int    // now
	Limit                         int    // of Connections; in Cluster for each node
	Open                          int    // sockets now, those of subscriptions too
}

// Pool registers read, which every scrape calls, from any goroutine. read must not block. A second
// call for the same connection panics.
func (r *RedisMetrics) Pool(read func() PoolStats) {
	labels := prometheus.Labels{"redis": r.name}
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, nil, labels)
	}
	r.metrics.registry.MustRegister(&poolCollector{
		read:        read,
		hits:        desc(poolHits, "Times a free connection was found."),
		misses:      desc(poolMisses, "Times none was found."),
		timeouts:    desc(poolTimeouts, "Times the wait for one was too long."),
		stale:       desc(poolStale, "Connections removed as stale."),
		connections: desc(poolConnections, "Connections."),
		idle:        desc(poolIdle, "Connections that nobody uses."),
		limit:       desc(poolLimit, "Bound of the connections; in Cluster of those to each node."),
		open:        desc(openSockets, "Sockets to Redis: those of the pool and of subscriptions."),
	})
}

type poolCollector struct {
	read                                                          func() PoolStats
	hits, misses, timeouts, stale, connections, idle, limit, open *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *poolCollector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.hits, c.misses, c.timeouts, c.stale, c.connections,
		c.idle, c.limit, c.open} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *poolCollector) Collect(to chan<- prometheus.Metric) {
	s := c.read()
	to <- prometheus.MustNewConstMetric(c.hits, prometheus.CounterValue, float64(s.Hits))
	to <- prometheus.MustNewConstMetric(c.misses, prometheus.CounterValue, float64(s.Misses))
	to <- prometheus.MustNewConstMetric(c.timeouts, prometheus.CounterValue, float64(s.Timeouts))
	to <- prometheus.MustNewConstMetric(c.stale, prometheus.CounterValue, float64(s.Stale))
	to <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue,
		float64(s.Connections))
	to <- prometheus.MustNewConstMetric(c.idle, prometheus.GaugeValue, float64(s.Idle))
	to <- prometheus.MustNewConstMetric(c.limit, prometheus.GaugeValue, float64(s.Limit))
	to <- prometheus.MustNewConstMetric(c.open, prometheus.GaugeValue, float64(s.Open))
}
