package ops

import (
	"time"

	"sidecar/internal/telemetry"
)

// maxPoints is how many points the history has: ten minutes, with one each five seconds.
const maxPoints = 120

// A sum is the counts of all routes at one time.
type sum struct {
	at                          time.Time
	hits, misses, other, failed uint64
	hitTime, missTime           durations
}

// durations are those of the requests of all routes with one result.
type durations struct {
	seconds float64
	buckets []telemetry.Bucket // cumulative
}

func (d *durations) add(other telemetry.Durations) {
	d.seconds += other.Seconds
	if d.buckets == nil {
		d.buckets = make([]telemetry.Bucket, len(other.Buckets))
	}
	for i, b := range other.Buckets {
		d.buckets[i].Most = b.Most
		d.buckets[i].Count += b.Count
	}
}

// quantile is about the duration below which a share of n requests lie that came since another
// time, in milliseconds; negative: unknown.
func (d durations) quantile(since durations, n uint64, share float64) float64 {
	if n == 0 {
		return unknown
	}
	rank, below, least := share*float64(n), uint64(0), 0.0
	for i, b := range d.buckets {
		count := b.Count
		if i < len(since.buckets) {
			count -= since.buckets[i].Count
		}
		if float64(count) >= rank && count > below {
			return 1000 * (least + (b.Most-least)*(rank-float64(below))/float64(count-below))
		}
		below, least = count, b.Most
	}
	return 1000 * least // over the last bound
}

// unknown stands for a duration of nothing.
const unknown = -1

func sumOf(now time.Time, totals telemetry.Totals) sum {
	s := sum{at: now}
	for _, r := range totals.Routes {
		s.failed += r.Failed
		for result, d := range r.Results {
			switch result {
			case telemetry.ResultHit, telemetry.ResultStale:
				s.hits += d.Count
				s.hitTime.add(d)
			case telemetry.ResultMiss:
				s.misses += d.Count
				s.missTime.add(d)
			default:
				s.other += d.Count
			}
		}
	}
	return s
}

// history is the sums of the last minutes, the oldest first. The zero value has none.
type history struct{ sums []sum }

func (h *history) add(now time.Time, totals telemetry.Totals) {
	if len(h.sums) > maxPoints {
		h.sums = append(h.sums[:0], h.sums[1:]...)
	}
	h.sums = append(h.sums, sumOf(now, totals))
}

// A point has the counts between two times.
type point struct {
	At     int64   `json:"at"`      // its end, in milliseconds since 1970
	Span   float64 `json:"seconds"` // its length
	Hits   uint64  `json:"hits"`
	Misses uint64  `json:"misses"`
	Other  uint64  `json:"other"` // writes, jobs, and bypasses
	Failed uint64  `json:"failed"`
	HitMS  float64 `json:"hit_ms"` // means; -1: there was none
	MissMS float64 `json:"miss_ms"`
}

func between(a, b sum) point {
	p := point{
		At: b.at.UnixMilli(), Span: b.at.Sub(a.at).Seconds(),
		Hits: b.hits - a.hits, Misses: b.misses - a.misses, Other: b.other - a.other,
		Failed: b.failed - a.failed,
	}
	p.HitMS = mean(b.hitTime.seconds-a.hitTime.seconds, p.Hits)
	p.MissMS = mean(b.missTime.seconds-a.missTime.seconds, p.Misses)
	return p
}

// mean is in milliseconds.
func mean(seconds float64, n uint64) float64 {
	if n == 0 {
		return unknown
	}
	return 1000 * seconds / float64(n)
}

func (h *history) points() []point {
	out := []point{}
	for i := 1; i < len(h.sums); i++ {
		out = append(out, between(h.sums[i-1], h.sums[i]))
	}
	return out
}

// since is the oldest sum of the history: its window begins there.
func (h *history) since() sum {
	if len(h.sums) == 0 {
		return sum{}
	}
	return h.sums[0]
}
