package ops

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"sidecar/internal/reason"
	"sidecar/internal/telemetry"
)

// A snapshot is all that the page shows, but for jobs and policies, which want the admin token.
type snapshot struct {
	Version       string                   `json:"version"`
	At            time.Time                `json:"at"`
	Status        map[string]any           `json:"status"` // as /status answers
	Window        window                   `json:"window"`
	History       []point                  `json:"history"`
	Spared        spared                   `json:"spared"`
	Routes        []string                 `json:"routes"` // those with a history, sorted
	Slowest       []route                  `json:"slowest"`
	Least         []route                  `json:"least_effective"`
	Bypasses      []why                    `json:"bypasses"`
	NotStored     []why                    `json:"not_stored"`
	Invalidations []telemetry.Invalidation `json:"invalidations"`
}

// A window has the counts in the time of the history.
type window struct {
	point
	HitP50  float64 `json:"hit_p50_ms"` // -1: there was none
	HitP95  float64 `json:"hit_p95_ms"`
	MissP50 float64 `json:"miss_p50_ms"`
	MissP95 float64 `json:"miss_p95_ms"`
}

// spared is the work that the API was spared since the start.
type spared struct {
	Requests uint64  `json:"requests"`
	Seconds  float64 `json:"seconds"` // by the time that misses of the same route took
}

// A route is one line of the tables of routes, in the time of the history.
type route struct {
	Name   string  `json:"name"`
	Hits   uint64  `json:"hits"`
	Misses uint64  `json:"misses"`
	HitMS  float64 `json:"hit_ms"` // means; -1: there was none
	MissMS float64 `json:"miss_ms"`
	Failed uint64  `json:"failed"`
}

// A why is a reason with its count and its meaning.
type why struct {
	Reason string `json:"reason"`
	Count  uint64 `json:"count"`
	Says   string `json:"says"`
	Remedy string `json:"remedy"`
}

// maxRows bounds each table of the page.
const maxRows = 8

func (p *Page) snapshotOf(now time.Time, totals telemetry.Totals, status map[string]any) snapshot {
	routes, saved := p.history.routesOf(totals), sparedBy(totals)
	s := snapshot{
		Version: p.source.Version, At: now.UTC(), Status: status,
		Window:  windowOf(p.history.since(), sumOf(now, totals)),
		History: p.history.points(), Spared: saved,
		Bypasses: whysOf(totals.Bypasses), NotStored: whysOf(totals.NotStored),
		Invalidations: append([]telemetry.Invalidation{}, p.source.Invalidations()...),
		Routes:        append([]string{}, slices.Sorted(maps.Keys(p.history.routes))...),
	}
	s.Slowest = best(routes, func(r route) float64 { return r.MissMS })
	s.Least = best(routes, func(r route) float64 {
		return float64(r.Misses) / float64(r.Hits+r.Misses)
	})
	return s
}

func windowOf(since, now sum) window {
	w := window{point: between(since, now)}
	w.HitP50 = now.hitTime.quantile(since.hitTime, w.Hits, 0.5)
	w.HitP95 = now.hitTime.quantile(since.hitTime, w.Hits, 0.95)
	w.MissP50 = now.missTime.quantile(since.missTime, w.Misses, 0.5)
	w.MissP95 = now.missTime.quantile(since.missTime, w.Misses, 0.95)
	return w
}

// routesOf are the routes with look-ups in the time of the history.
func (h *history) routesOf(totals telemetry.Totals) (routes []route) {
	for _, t := range totals.Routes {
		c := countsOf(t).since(h.before(t.Name))
		if c.hits+c.misses == 0 {
			continue
		}
		routes = append(routes, route{
			Name: t.Name, Hits: c.hits, Misses: c.misses, Failed: c.failed,
			HitMS: mean(c.hitTime, c.hits), MissMS: mean(c.missTime, c.misses),
		})
	}
	return routes
}

// sparedBy is the work that the API was spared since the start: a hit spares the time of a miss of
// its route.
func sparedBy(totals telemetry.Totals) (saved spared) {
	for _, t := range totals.Routes {
		c := countsOf(t)
		saved.Requests += c.hits
		if c.hits > 0 && c.misses > 0 {
			more := mean(c.missTime, c.misses) - mean(c.hitTime, c.hits)
			saved.Seconds += float64(c.hits) * max(0, more) / 1000
		}
	}
	return saved
}

// best are the routes with the highest rank, the highest first.
func best(routes []route, rank func(route) float64) []route {
	out := append([]route{}, routes...)
	slices.SortStableFunc(out, func(a, b route) int { return cmp.Compare(rank(b), rank(a)) })
	return out[:min(len(out), maxRows)]
}

func whysOf(totals []telemetry.ReasonTotal) []why {
	out := []why{}
	for _, t := range totals[:min(len(totals), maxRows)] {
		m, _ := reason.Reason(t.Reason).Meaning()
		out = append(out, why{t.Reason, t.Count, m.Says, m.Remedy})
	}
	return out
}
