package telemetry

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Totals are the counts since the start that the page at the ops address shows.
type Totals struct {
	Routes    []RouteTotals // sorted by name
	Bypasses  []ReasonTotal // of all routes, the most frequent first
	NotStored []ReasonTotal
}

// RouteTotals are the counts of one route; "none" is for requests that no route matched.
type RouteTotals struct {
	Name    string
	Failed  uint64 // answered 5xx
	Results map[Result]Durations
}

// Durations are those of the requests with one result.
type Durations struct {
	Count   uint64
	Seconds float64 // in sum
	Buckets []Bucket
}

// A Bucket is how many took no longer than a bound, in seconds.
type Bucket struct {
	Most  float64
	Count uint64
}

// A ReasonTotal is how often a reason was given.
type ReasonTotal struct {
	Reason string
	Count  uint64
}

// totals is a registry of the few metrics that Totals reads.
func (m *Metrics) totals() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(m.requests, m.requestDuration, m.bypasses, m.notStored)
	return r
}

// Totals reads the counts. It does no I/O.
func (m *Metrics) Totals() Totals {
	families, err := m.gathered.Gather()
	if err != nil {
		return Totals{} // the vectors are ours, so they never differ from what they say
	}
	routes := map[string]*RouteTotals{}
	bypasses, notStored := map[string]uint64{}, map[string]uint64{}
	for _, f := range families {
		for _, metric := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range metric.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			name, count := labels["route"], uint64(metric.GetCounter().GetValue())
			switch f.GetName() {
			case "sidecar_bypasses_total":
				bypasses[labels["reason"]] += count
				continue
			case "sidecar_refused_responses_total":
				notStored[labels["reason"]] += count
				continue
			}
			r := routes[name]
			if r == nil {
				r = &RouteTotals{Name: name, Results: map[Result]Durations{}}
				routes[name] = r
			}
			if h := metric.GetHistogram(); h != nil {
				d := Durations{Count: h.GetSampleCount(), Seconds: h.GetSampleSum()}
				for _, b := range h.GetBucket() {
					d.Buckets = append(d.Buckets, Bucket{b.GetUpperBound(), b.GetCumulativeCount()})
				}
				r.Results[Result(labels["result"])] = d
			} else if labels["status"] == "5xx" {
				r.Failed += count
			}
		}
	}
	t := Totals{Bypasses: byCount(bypasses), NotStored: byCount(notStored)}
	for _, r := range routes {
		t.Routes = append(t.Routes, *r)
	}
	slices.SortFunc(t.Routes, func(a, b RouteTotals) int { return cmp.Compare(a.Name, b.Name) })
	return t
}

// byCount sorts by count, the most frequent first.
func byCount(counts map[string]uint64) []ReasonTotal {
	out := make([]ReasonTotal, 0, len(counts))
	for reason, n := range counts {
		out = append(out, ReasonTotal{reason, n})
	}
	slices.SortFunc(out, func(a, b ReasonTotal) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// An Invalidation is one that was counted. It names no tag: values that clients choose are in tags.
type Invalidation struct {
	At       time.Time `json:"at"`
	Route    string    `json:"route"`
	Tags     int       `json:"tags"`
	Deferred bool      `json:"deferred,omitempty"` // Redis was away
}

// maxRecent is how many invalidations are remembered.
const maxRecent = 10

// recent are the last invalidations. The zero value has none.
type recent struct {
	mu   sync.Mutex
	list []Invalidation // the last one first
}

func (r *recent) add(i Invalidation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) < maxRecent {
		r.list = append(r.list, Invalidation{})
	}
	copy(r.list[1:], r.list)
	r.list[0] = i
}

// RecentInvalidations are the last invalidations, the last one first.
func (m *Metrics) RecentInvalidations() []Invalidation {
	m.recent.mu.Lock()
	defer m.recent.mu.Unlock()
	return slices.Clone(m.recent.list)
}
