package observe

import (
	"math"
	"net/http"
	"slices"
	"sort"
	"time"

	"sidecar/internal/propose"
)

// compared says how the answers to equal requests, one after the other, differ.
type compared struct {
	steady      int // alike, and no write that invalidates them came between
	untouched   int // alike, though such a write came between
	moved       int // not alike, and such a write came between
	unexplained []span
	calm        []span // of steady; the first maxCalm
	alike       int    // of two callers, and no such write came between
	differ      int
}

// Bounds of the changes for which a cause is looked for, and of the writes they are compared with.
const (
	maxUnexplained = 2000
	maxCalm        = 20_000
)

// A question is the common part of equal requests.
type question struct {
	path    int32
	caller  int32 // or person
	query   uint64
	variant uint64
}

// shows reports whether the event has the answer.
func (e *event) shows() bool {
	switch e.status {
	case http.StatusOK, http.StatusNotFound, http.StatusGone:
		return e.caller != unclear
	}
	return false
}

// compare compares the answers of a route.
func (t *traffic) compare(r *read) {
	r.compared = compared{}
	last, lastOfAny := map[question]int{}, map[question]int{}
	for _, i := range r.events {
		e := &t.events[i]
		if !e.shows() {
			continue
		}
		q := question{e.path, e.person, e.query, e.variant}
		tags := t.carries(r, e.path)
		if before, ok := last[q]; ok {
			a := &t.events[before]
			r.pair(a, e, t.touches.between(tags, a.start, e.end))
		}
		last[q] = i
		q.caller = 0
		if before, ok := lastOfAny[q]; ok {
			if a := &t.events[before]; a.person != e.person &&
				!t.touches.between(tags, a.start, e.end) {
				if a.digest == e.digest {
					r.alike++
				} else {
					r.differ++
				}
			}
		}
		lastOfAny[q] = i
	}
}

func (c *compared) pair(a, b *event, touched bool) {
	switch same := a.digest == b.digest; {
	case same && touched:
		c.untouched++
	case same:
		if c.steady++; len(c.calm) < maxCalm {
			c.calm = append(c.calm, span{a.start, b.end})
		}
	case touched:
		c.moved++
	case len(c.unexplained) < maxUnexplained:
		c.unexplained = append(c.unexplained, span{a.start, b.end})
	}
}

// maxExtra bounds the writes that are found for one read besides those of its path.
const maxExtra = 8

// maxChance is how probable it may be that a write explains all changes by chance.
const maxChance = 0.05

// explain looks for writes that no path relates to the read, and that explain why its answers
// changed: at each step the one that explains most. If all changes are explained, and hardly by
// chance, the writes get the tags of the read.
func (t *traffic) explain(r *read) {
	left := r.unexplained
	var found []*write
	for len(left) > 0 && len(found) < maxExtra {
		var best *write
		var rest []span
		for _, w := range t.writes {
			if slices.Contains(found, w) {
				continue
			}
			still := t.without(w, left)
			switch {
			case len(still) == len(left):
			case best == nil,
				len(still) < len(rest),
				len(still) == len(rest) && len(w.events) < len(best.events):
				best, rest = w, still
			}
		}
		if best == nil {
			return
		}
		found, left = append(found, best), rest
	}
	if len(left) > 0 {
		return
	}
	if r.suspects = found; t.chance(r, found) > maxChance {
		return
	}
	tags := t.relations.All(r.path)
	for _, w := range found {
		w.add(tags)
		t.touch(w, tags)
	}
	t.touches.sort()
}

// chance is how probable it is that all changes of a read lie where the writes are, if they have
// nothing to do with them: near one where such writes come before nearly each of its requests.
func (t *traffic) chance(r *read, writes []*write) float64 {
	calm := r.calm
	for _, w := range writes {
		calm = t.without(w, calm)
	}
	all := len(r.calm) + len(r.unexplained)
	return math.Pow(float64(all-len(calm))/float64(all), float64(len(r.unexplained)))
}

func (w *write) add(tags []propose.Tag) {
	for _, tag := range tags {
		if !slices.ContainsFunc(
			w.extra,
			func(have propose.Tag) bool { return have.String() == tag.String() },
		) {
			w.extra = append(w.extra, tag)
		}
	}
}

// without are the changes during which no request of w was under way.
func (t *traffic) without(w *write, changes []span) (left []span) {
	longest := time.Duration(0) // of requests up to each
	latest := make([]time.Duration, len(w.events))
	for n, i := range w.events {
		longest = max(longest, t.events[i].end)
		latest[n] = longest
	}
	for _, c := range changes {
		n := sort.Search(
			len(w.events),
			func(n int) bool { return t.events[w.events[n]].start > c.end },
		)
		if n == 0 || latest[n-1] < c.start {
			left = append(left, c)
		}
	}
	return left
}

// maxBack bounds how far back a cause is looked for, in writes.
const maxBack = 200

// attribute counts for each write the changes of a read that it was the last to precede.
func (t *traffic) attribute(r *read) {
	last := map[question]int{}
	for _, i := range r.events {
		e := &t.events[i]
		if !e.shows() {
			continue
		}
		q := question{e.path, e.person, e.query, e.variant}
		if before, ok := last[q]; ok && t.events[before].digest != e.digest {
			if w := t.lastBefore(r, &t.events[before], e); w != nil {
				w.seen[r]++
			}
		}
		last[q] = i
	}
}

// lastBefore is the last write before the answer e that invalidates the answer a to the same
// request; nil if none is known.
func (t *traffic) lastBefore(r *read, a, e *event) *write {
	carried := t.carries(r, e.path)
	n := sort.Search(
		len(t.causes),
		func(n int) bool { return t.events[t.causes[n].event].start > e.end },
	)
	for back := 1; back <= maxBack && n-back >= 0; back++ {
		c := t.causes[n-back]
		by := &t.events[c.event]
		if by.end < a.start {
			continue
		}
		for _, tag := range slices.Concat(c.write.tags, c.write.extra) {
			if slices.Contains(carried, textOf(tag, t.byPath[by.path])) {
				return c.write
			}
		}
	}
	return nil
}
