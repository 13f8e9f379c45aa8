package observe

import (
	"cmp"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/internal/propose"
)

// traffic is the record, by route.
type traffic struct {
	duration  time.Duration
	events    []event
	reads     []*read
	writes    []*write
	byPath    []located // by number of the path
	relations *propose.Relations
	touches   *touches
	causes    []cause // all writes, by start
}

// A cause is one request that may have changed something.
type cause struct {
	event int
	write *write
}

// A located path is one of a route.
type located struct {
	template string
	path     propose.Path
	values   []string
	ok       bool
}

// A read is the route of a GET.
type read struct {
	path    propose.Path
	tags    []propose.Tag
	events  []int               // their numbers, by start
	carried map[int32][]tagText // by path
	params  map[string]bool
	cookies map[string]bool
	compared
	suspects []*write // that may change it though no path says so
}

// A write is the route of unsafe requests.
type write struct {
	method string
	path   propose.Path
	events []int         // those that may have changed something, by start
	tags   []propose.Tag // that its path relates it to
	extra  []propose.Tag
	seen   map[*read]int // changes that followed
}

func (w *write) pattern() string { return w.method + " " + w.path.String() }

// traffic sorts the events by route.
func (r *Recorder) traffic() *traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := &traffic{duration: r.ended, events: r.events}
	slices.SortStableFunc(t.events, func(a, b event) int { return cmp.Compare(a.start, b.start) })
	names := make([]string, len(r.paths))
	for path, i := range r.paths {
		names[i] = path
	}
	answered := map[string]asked{}
	for _, e := range t.events {
		if e.status < 400 {
			a := answered[names[e.path]]
			if a.methods == nil {
				a.methods = map[string]bool{}
			}
			a.methods[e.method] = true
			a.by.add(e.person)
			answered[names[e.path]] = a
		}
	}
	tree := treeOf(answered)
	t.byPath = make([]located, len(names))
	for i, path := range names {
		found, values, ok := tree.of(path)
		t.byPath[i] = located{found.path.String(), found.path, values, ok}
	}
	t.route(r.names)
	return t
}

// route makes the routes.
func (t *traffic) route(names map[int32]*pathNames) {
	reads, writes := map[string]*read{}, map[string]*write{}
	for i, e := range t.events {
		at := t.byPath[e.path]
		if !at.ok {
			continue
		}
		key := e.method + " " + at.template
		switch {
		case e.method == http.MethodGet:
			r := reads[key]
			if r == nil {
				r = &read{
					path:    at.path,
					carried: map[int32][]tagText{},
					params:  map[string]bool{},
					cookies: map[string]bool{},
				}
				reads[key] = r
				t.reads = append(t.reads, r)
			}
			r.events = append(r.events, i)
			if n := names[e.path]; n != nil {
				merge(r.params, n.params)
				merge(r.cookies, n.cookies)
			}
		case httpfield.IsSafe(e.method), refused(e.status):
		default:
			w := writes[key]
			if w == nil {
				w = &write{method: e.method, path: at.path, seen: map[*read]int{}}
				writes[key] = w
				t.writes = append(t.writes, w)
			}
			w.events = append(w.events, i)
		}
	}
	t.reads = slices.DeleteFunc(
		t.reads,
		func(r *read) bool { return !slices.ContainsFunc(r.events, t.succeeded) },
	)
	slices.SortFunc(
		t.reads,
		func(a, b *read) int { return strings.Compare(a.path.String(), b.path.String()) },
	)
	slices.SortFunc(t.writes, func(a, b *write) int {
		return cmp.Or(
			strings.Compare(a.path.String(), b.path.String()),
			strings.Compare(a.method, b.method),
		)
	})
	t.relate()
}

// refused reports whether a status says that a write changed nothing.
func refused(status int) bool {
	return status >= 400 && status < 500 && status != http.StatusRequestTimeout
}

func (t *traffic) succeeded(i int) bool { return t.events[i].status < 300 }

func merge(into, from map[string]bool) {
	for name := range from {
		if len(into) < maxNames {
			into[name] = true
		}
	}
}

// relate derives the tags from the paths.
func (t *traffic) relate() {
	values := map[string][]string{} // by template and place
	for _, at := range t.byPath {
		n := 0
		for i, s := range at.path {
			if s.Wild && at.ok {
				key := at.template + ":" + itoa(i)
				values[key] = append(values[key], at.values[n])
				n++
			}
		}
	}
	var reads, writes []propose.Path
	for _, r := range t.reads {
		reads = append(reads, r.path)
	}
	for _, w := range t.writes {
		writes = append(writes, w.path)
	}
	t.relations = propose.NewRelations(reads, writes, func(p propose.Path, i int) string {
		return filterOf(values[p.String()+":"+itoa(i)])
	})
	for _, r := range t.reads {
		r.tags = t.relations.Tags(r.path)
	}
	t.touches = newTouches()
	for _, w := range t.writes {
		w.tags = t.relations.Invalidated(w.method, w.path)
		t.touch(w, w.tags)
		for _, i := range w.events {
			t.causes = append(t.causes, cause{i, w})
		}
	}
	t.touches.sort()
	slices.SortFunc(t.causes, func(a, b cause) int { return cmp.Compare(a.event, b.event) })
}

// touch notes that each request of w invalidates the tags.
func (t *traffic) touch(w *write, tags []propose.Tag) {
	for _, i := range w.events {
		e := t.events[i]
		for _, tag := range tags {
			t.touches.add(textOf(tag, t.byPath[e.path]), e.start, e.end)
		}
	}
}

// A tagText is a tag filled, for the simulation.
type tagText string

// textOf fills a tag with the values of a path.
func textOf(tag propose.Tag, at located) tagText {
	if tag.Family {
		return tagText(tag.Name + ":*")
	}
	text := tag.Name
	for _, hole := range tag.Holes {
		name, _, _ := strings.Cut(hole, "|")
		n := 0
		for _, s := range at.path {
			if !s.Wild {
				continue
			}
			if s.Text == name && n < len(at.values) {
				text += ":=" + at.values[n]
			}
			n++
		}
	}
	return tagText(text)
}

// carries are the tags, with their families, of an answer to a GET of the path.
func (t *traffic) carries(r *read, path int32) []tagText {
	if known, ok := r.carried[path]; ok {
		return known
	}
	var out []tagText
	for _, tag := range r.tags {
		out = append(out, textOf(tag, t.byPath[path]))
		if len(tag.Holes) > 0 {
			out = append(out, tagText(tag.Name+":*"))
		}
	}
	r.carried[path] = out
	return out
}

// touches has the times at which tags were invalidated.
type touches struct{ times map[tagText]*spans }

// spans are times of writes, by their start, with the latest end of all up to each.
type spans struct {
	list   []span
	latest []time.Duration
}

type span struct{ start, end time.Duration }

func newTouches() *touches { return &touches{map[tagText]*spans{}} }

func (x *touches) add(tag tagText, start, end time.Duration) {
	s := x.times[tag]
	if s == nil {
		s = &spans{}
		x.times[tag] = s
	}
	s.list = append(s.list, span{start, end})
}

// sort is called when all are added.
func (x *touches) sort() {
	for _, s := range x.times {
		slices.SortFunc(s.list, func(a, b span) int { return cmp.Compare(a.start, b.start) })
		s.latest = s.latest[:0]
		latest := time.Duration(-1)
		for _, w := range s.list {
			latest = max(latest, w.end)
			s.latest = append(s.latest, latest)
		}
	}
}

// between reports whether a write that invalidates one of the tags was under way at some time from
// since to until.
func (x *touches) between(tags []tagText, since, until time.Duration) bool {
	for _, tag := range tags {
		s := x.times[tag]
		if s == nil {
			continue
		}
		n := sort.Search(len(s.list), func(i int) bool { return s.list[i].start > until })
		if n > 0 && s.latest[n-1] >= since {
			return true
		}
	}
	return false
}
