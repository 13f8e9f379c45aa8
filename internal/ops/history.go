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

// history is the sums of the last minutes, the oldest first, and the counts of each route. The zero
// value has none.
type history struct {
	sums   []sum
	routes map[string]*track
}

// maxTracks bounds the routes whose history is kept: some 3 KiB each.
const maxTracks = 500

func (h *history) add(now time.Time, totals telemetry.Totals) {
	if h.routes == nil {
		h.routes = map[string]*track{}
	}
	for _, r := range totals.Routes {
		t := h.routes[r.Name]
		if t == nil {
			if len(h.routes) >= maxTracks {
				continue
			}
			t = &track{}
			h.routes[r.Name] = t
			if len(h.sums) == 0 { // counts of before
				t.base = countsOf(r)
				t.last = t.base
				continue
			}
		}
		t.add(countsOf(r))
	}
	if len(h.sums) > maxPoints {
		h.sums = append(h.sums[:0], h.sums[1:]...)
	}
	h.sums = append(h.sums, sumOf(now, totals))
}

// counts are those of one route up to a time, or between two.
type counts struct {
	hits, misses, other, failed uint64
	hitTime, missTime           float64 // seconds
}

func countsOf(r telemetry.RouteTotals) counts {
	c := counts{failed: r.Failed}
	for result, d := range r.Results {
		switch result {
		case telemetry.ResultHit, telemetry.ResultStale:
			c.hits += d.Count
			c.hitTime += d.Seconds
		case telemetry.ResultMiss:
			c.misses += d.Count
			c.missTime += d.Seconds
		default:
			c.other += d.Count
		}
	}
	return c
}

func (c counts) since(before counts) counts {
	return counts{
		c.hits - before.hits, c.misses - before.misses, c.other - before.other,
		c.failed - before.failed, c.hitTime - before.hitTime, c.missTime - before.missTime,
	}
}

func (c counts) plus(more counts) counts {
	return counts{
		c.hits + more.hits, c.misses + more.misses, c.other + more.other,
		c.failed + more.failed, c.hitTime + more.hitTime, c.missTime + more.missTime,
	}
}

// A track is the history of one route.
type track struct {
	base  counts // up to the first of steps
	last  counts // up to the last of them
	steps []step // the last ones of the history's points, the oldest first
}

// A step is counts between two times, small. Their times are in seconds.
type step struct {
	hits, misses, other, failed uint32
	hitTime, missTime           float32
}

func (p step) counts() counts {
	return counts{
		uint64(p.hits), uint64(p.misses), uint64(p.other), uint64(p.failed),
		float64(p.hitTime), float64(p.missTime),
	}
}

func (t *track) add(now counts) {
	if len(t.steps) == maxPoints {
		t.base = t.base.plus(t.steps[0].counts())
		t.steps = append(t.steps[:0], t.steps[1:]...)
	}
	d := now.since(t.last)
	t.steps = append(t.steps, step{
		uint32(d.hits), uint32(d.misses), uint32(d.other), uint32(d.failed),
		float32(d.hitTime), float32(d.missTime),
	})
	t.last = now
}

// before is the counts of a route before the history began.
func (h *history) before(route string) counts {
	if t := h.routes[route]; t != nil {
		return t.base
	}
	return counts{}
}

// pointsOf is the history of one route. ok is false where there is none.
func (h *history) pointsOf(route string) (points []point, ok bool) {
	t := h.routes[route]
	if t == nil {
		return nil, false
	}
	points = h.points()
	for i := range points {
		c, at := counts{}, i-len(points)+len(t.steps)
		if at >= 0 {
			c = t.steps[at].counts()
		}
		points[i] = pointOf(points[i].At, points[i].Span, c)
	}
	return points, true
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
	return pointOf(b.at.UnixMilli(), b.at.Sub(a.at).Seconds(), counts{
		b.hits - a.hits, b.misses - a.misses, b.other - a.other, b.failed - a.failed,
		b.hitTime.seconds - a.hitTime.seconds, b.missTime.seconds - a.missTime.seconds,
	})
}

func pointOf(at int64, span float64, c counts) point {
	return point{
		At: at, Span: span, Hits: c.hits, Misses: c.misses, Other: c.other, Failed: c.failed,
		HitMS: mean(c.hitTime, c.hits), MissMS: mean(c.missTime, c.misses),
	}
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
