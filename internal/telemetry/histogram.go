package telemetry

import (
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// histogram returns the options of a native histogram, of at most 100 buckets a series, that also
// has classic buckets with these upper bounds.
func histogram(name, help, bounds string) prometheus.HistogramOpts {
	opts := prometheus.HistogramOpts{
		Name: name, Help: help,
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  100,
		NativeHistogramMinResetDuration: time.Hour,
	}
	for _, bound := range strings.Fields(bounds) {
		le, err := strconv.ParseFloat(bound, 64)
		if err != nil {
			panic(err) // a constant of this package
		}
		opts.Buckets = append(opts.Buckets, le)
	}
	return opts
}

// observe adds a duration, with the trace in which it is recorded as an exemplar; "": none is.
func observe(h prometheus.Observer, took time.Duration, trace string) {
	if trace != "" {
		if e, ok := h.(prometheus.ExemplarObserver); ok {
			e.ObserveWithExemplar(took.Seconds(), prometheus.Labels{"trace_id": trace})
			return
		}
	}
	h.Observe(took.Seconds())
}
