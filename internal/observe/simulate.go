package observe

import "time"

// maxAge is the default of max_age: how long an entry of unverified credentials lives.
const maxAge = 5 * time.Minute

// An outcome is the effect of a cache on the traffic of a route.
type outcome struct {
	total, hits, stale int
	saved, spent       time.Duration // of the API's time, to the heads of its answers
}

func (o outcome) ratio() float64 {
	if o.total == 0 {
		return 0
	}
	return float64(o.hits) / float64(o.total)
}

// A filled entry is an answer that the cache would have.
type filled struct {
	start, end, expires time.Duration
	digest              digest
	dropped             bool // cookies that the answer set
}

// A model is a cache that traffic is played through.
type model struct {
	shared bool // one entry for all
	ttl    time.Duration
	forAll bool // shared, and it may store the answers to all requests
	tokens bool // it verifies tokens: a renewed one is the same caller

	override bool // its ttl wins over the lifetime that answers state
	ignore   bool // and over all that their Cache-Control says
}

func (m model) fateOf(e *event) fate {
	if m.override && e.overridden || m.ignore && e.ignored {
		return fate{store: true, life: unstated}
	}
	if m.shared && !m.forAll {
		return e.shared
	}
	return e.private
}

func (m model) callerOf(e *event) int32 {
	switch {
	case m.shared:
		return 0
	case m.verifies(e):
		return e.person
	}
	return e.caller
}

// verifies reports whether the cache verifies the request's token.
func (m model) verifies(e *event) bool { return m.tokens && !e.bare }

// simulate plays the GETs of a route through a cache.
func (t *traffic) simulate(r *read, m model) (o outcome) {
	entries := map[question]filled{}
	for _, i := range r.events {
		e := &t.events[i]
		o.total++
		o.spent += e.head - e.start
		if e.caller == unclear {
			continue
		}
		q := question{e.path, m.callerOf(e), e.query, e.variant}
		tags := t.carries(r, e.path)
		have, ok := entries[q]
		if ok && have.end <= e.start && (!have.dropped || e.brings) && e.start < have.expires &&
			!t.touches.between(tags, have.start, e.start) {
			o.hits++
			o.saved += e.head - e.start
			known := have.digest != digest{} && e.digest != digest{}
			if known && have.digest != e.digest && e.shows() &&
				!t.touches.between(tags, e.start, e.end) {
				o.stale++
			}
			continue
		}
		if fate := m.fateOf(e); fate.store {
			entries[q] = filled{
				e.start,
				e.end,
				e.end + lifetime(fate, m.ttl, !m.shared && !m.verifies(e) && e.caller != anonymous),
				e.digest,
				e.drops,
			}
		}
	}
	return o
}

func lifetime(f fate, ttl time.Duration, bounded bool) time.Duration {
	life := f.life
	if life == unstated {
		life = ttl
	}
	if bounded {
		life = min(life, maxAge)
	}
	return life
}
