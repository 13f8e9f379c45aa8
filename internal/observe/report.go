package observe

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"sidecar/internal/propose"
	"sidecar/internal/reason"
)

// A live route has at least this evidence.
const (
	leastGETs   = 5
	leastSteady = 3    // answers that held still with no write between
	leastRatio  = 0.05 // of expected hits
	leastIdle   = 10   // requests of a write that nothing follows, for advice to take it out
)

// lifetimes are those that are proposed, the longest first. None is longer than the watch: nothing
// was seen of longer times.
var lifetimes = []time.Duration{
	5 * time.Minute,
	2 * time.Minute,
	time.Minute,
	30 * time.Second,
	10 * time.Second,
}

// Propose ends the watch and makes a policies file of the traffic.
func (r *Recorder) Propose() *propose.File {
	r.Stop()
	t := r.traffic()
	for _, read := range t.reads {
		t.compare(read)
	}
	for _, read := range t.reads {
		if len(read.unexplained) > 0 && read.steady >= leastSteady {
			t.explain(read)
		}
	}
	f := &propose.File{}
	for _, read := range t.reads {
		t.compare(read)
		t.attribute(read)
		f.Routes = append(f.Routes, t.routeOf(read))
	}
	unrelated := []string{}
	for _, w := range t.writes {
		if route := t.writeRoute(w); len(route.Invalidate) > 0 {
			f.Routes = append(f.Routes, route)
		} else {
			unrelated = append(unrelated, w.pattern())
		}
	}
	f.Head = r.head(t)
	if len(unrelated) > 0 {
		f.Tail = []string{"These writes invalidate nothing above, and were not seen to change " +
			"it: " + strings.Join(unrelated, ", ") + "."}
	}
	return f
}

func (r *Recorder) head(t *traffic) []string {
	head := []string{
		fmt.Sprintf("Policies proposed from traffic: %s in %s, by %s. Look at each route before "+
			"it is used. "+
			"What is commented out, with no blank behind the '#', has too little evidence, or "+
			"some against it.",
			count(len(t.events), "request"), round(t.duration), count(len(r.persons), "caller "+
				"with credentials", "callers with credentials")),
		"A write invalidates what its path relates it to, and what was seen to change after it. " +
			"What did not " +
			"happen meanwhile is not here: for each write ask which answers look different now, " +
			"and whose. " +
			"The expected hits are those that these policies would have had with this traffic.",
	}
	if len(r.callers) > len(r.persons) {
		verified := "With caller.jwt and the API's key it is the same (docs/policies.md)."
		switch r.bare {
		case 0:
		case r.tokens:
			verified = "caller.jwt changes nothing: they come without Bearer."
		default:
			verified = fmt.Sprintf("With caller.jwt and the API's key it is the same, but for the "+
				"%d that come without Bearer (docs/policies.md).", r.bare)
		}
		head = append(head, fmt.Sprintf("Callers are counted by the claims of their tokens, but "+
			"exp, iat, nbf and jti: %s are those of fewer callers. Nobody has verified them, so "+
			"they are evidence alone: to these policies a renewed token is another caller. %s",
			count(r.tokens, "token"), verified))
	}
	if r.full != "" {
		head = append(head, "Not all traffic was observed: "+r.full+" was reached.")
	}
	if odd := r.odd.Load(); odd > 0 {
		head = append(head, fmt.Sprintf("%s with paths over %d bytes, or with targets that are "+
			"none, were not observed.",
			count(int(odd), "request"), maxPath))
	}
	bypassed := countIf(t.events, func(e event) bool { return e.caller == unclear })
	if bypassed > 0 {
		head = append(head, fmt.Sprintf("%s had fields that say who is asking and are not in "+
			"caller.credentials, or unclear ones. "+
			"They bypass the cache. Of the names: "+
			"%s.", count(bypassed, "request"), sortedNames(r.fields)))
	}
	return head
}

// routeOf decides about a read, and writes down the evidence.
func (t *traffic) routeOf(r *read) propose.Route {
	scope, ttl := "private", t.ttl()
	if t.isPublic(r) {
		scope = "shared"
	}
	shared := scope == "shared"
	got := t.simulate(r, model{shared: shared, ttl: ttl})
	verified := t.simulate(r, model{shared: shared, ttl: ttl, tokens: true})
	if t.allStated(r, shared) {
		ttl = 0
	}
	route := propose.Route{
		Name: propose.Name(r.path, prefix(r.path)), Match: []string{"GET " + r.path.String()},
		Cache: &propose.Cache{Scope: scope, TTL: ttl, Tags: r.tags, Drop: t.dropped(r)},
	}
	why := t.unfit(r, got, shared)
	route.Live = why == ""
	route.Comment = []string{t.asked(r), t.changes(r)}
	if text := t.sharing(r, shared, ttl); text != "" {
		route.Comment = append(route.Comment, text)
	}
	if len(r.unexplained) == 0 { // else hits would be old
		route.Comment = append(route.Comment, fmt.Sprintf("Expected: %d %% hits, which spare the "+
			"API %s of %s.",
			percent(got.ratio()), round(got.saved), round(got.spent)))
		if more := percent(verified.ratio()); more > percent(got.ratio()) {
			route.Comment = append(route.Comment, fmt.Sprintf("Tokens were renewed. With "+
				"caller.jwt, by which they stay one caller: %d %% hits.", more))
		}
	}
	if why != "" {
		route.Comment = append(route.Comment, "Not live: "+why)
		if text := t.insisting(r, route.Cache, got); text != "" {
			route.Comment = append(route.Comment, text)
		}
	}
	return route
}

// insisting says how a private cache would have hits against what the answers say themselves, as
// some frameworks let them say by habit, and writes it into c; "" if it would have none.
func (t *traffic) insisting(r *read, c *propose.Cache, got outcome) string {
	if len(r.unexplained) > 0 || r.steady < leastSteady || got.ratio() >= leastRatio ||
		c.Scope != "private" {
		return ""
	}
	for _, m := range []model{{ttl: t.ttl(), override: true}, {ttl: t.ttl(), ignore: true}} {
		would := t.simulate(r, m)
		if would.stale > 0 || would.ratio() < 2*leastRatio {
			continue
		}
		c.TTL, c.Override, c.Ignore = m.ttl, m.override, m.ignore
		says, how := "are stale at once", "override: true"
		if m.ignore {
			says, how = "are not to be stored", "response_directives: ignore"
		}
		return fmt.Sprintf("The answers say that they %s, which some frameworks say of each. If "+
			"it is not meant, %s has %d %% hits (docs/recipes.md).", says, how,
			percent(would.ratio()))
	}
	return ""
}

// ttl is the longest lifetime that the watch was long enough for.
func (t *traffic) ttl() time.Duration {
	for _, l := range lifetimes {
		if l <= t.duration {
			return l
		}
	}
	return lifetimes[len(lifetimes)-1]
}

// isPublic reports whether each answer says itself that it is for everybody, and none was seen to
// depend on who asks: where callers have credentials, two of them got the same answer.
func (t *traffic) isPublic(r *read) bool {
	return t.saysPublic(r) && r.differ == 0 && (r.alike > 0 || !slices.ContainsFunc(
		r.events, func(i int) bool { return t.events[i].caller >= 0 }))
}

// saysPublic reports whether each answer says itself that it is for everybody.
func (t *traffic) saysPublic(r *read) bool {
	public := 0
	for _, i := range r.events {
		switch e := &t.events[i]; {
		case e.status != http.StatusOK:
		case !e.public:
			return false
		default:
			public++
		}
	}
	return public > 0
}

// allStated reports whether each answer that would be stored states its own lifetime.
func (t *traffic) allStated(r *read, shared bool) bool {
	stored := 0
	for _, i := range r.events {
		f := t.events[i].private
		if shared {
			f = t.events[i].shared
		}
		if f.store {
			stored++
			if f.life == unstated {
				return false
			}
		}
	}
	return stored > 0
}

// dropped are the cookies without which the answers would be stored.
func (t *traffic) dropped(r *read) (names []string) {
	if !slices.ContainsFunc(
		r.events,
		func(i int) bool { return t.events[i].drops && t.events[i].private.store },
	) {
		return nil
	}
	for name := range r.cookies {
		if ignored.Has(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// prefix is how many segments of a path are left out of its name: api and a version.
func prefix(p propose.Path) (n int) {
	for n < len(p)-1 && !p[n].Wild && (p[n].Text == "api" || version.MatchString(p[n].Text)) {
		n++
	}
	return n
}

// unfit says why a read is not proposed live; "" if nothing speaks against it.
func (t *traffic) unfit(r *read, got outcome, shared bool) string {
	if why := t.notStored(r, shared); why != "" {
		return why
	}
	bypassed := 0
	for _, i := range r.events {
		if t.events[i].caller == unclear {
			bypassed++
		}
	}
	switch {
	case bypassed*2 > len(r.events):
		return "for most of its requests it is unclear who is asking: see the beginning of this " +
			"file."
	case len(r.unexplained) > 0 && r.steady == 0:
		return "its answer is another each time, by itself: it may hold the time or an id of the " +
			"request."
	case len(r.unexplained) > 0:
		why := fmt.Sprintf("it changed %s with no write that explains it.",
			times(len(r.unexplained)))
		for i, w := range r.suspects {
			if i == 0 {
				why += " It may be by chance that before each came"
			}
			why += " " + w.pattern()
		}
		return why
	case got.stale > 0:
		return fmt.Sprintf("%d hits would have been old.", got.stale)
	case len(r.events) < leastGETs:
		return "there were too few requests."
	case r.steady < leastSteady:
		return fmt.Sprintf("its answers were seen to hold still only %s.", times(r.steady))
	case got.ratio() < leastRatio:
		return "it would hardly ever be a hit."
	}
	if word := propose.Fickle(r.path); word != "" {
		return fmt.Sprintf("%q is often about what changes by itself, or is no resource. It held "+
			"still here.", word)
	}
	return ""
}

// notStored says why no more than half of the answers would be stored.
func (t *traffic) notStored(r *read, shared bool) string {
	reasons, refused, all := map[reason.Reason]int{}, 0, 0
	for _, i := range r.events {
		e := &t.events[i]
		if e.status >= 300 {
			continue
		}
		f := e.private
		if shared {
			f = e.shared
		}
		if all++; !f.store {
			refused++
			reasons[f.why]++
		}
	}
	if refused*2 <= all {
		return ""
	}
	most := reason.Reason("")
	for why, n := range reasons {
		if most == "" || n > reasons[most] || n == reasons[most] && why < most {
			most = why
		}
	}
	if most == reason.SetCookie {
		return fmt.Sprintf("its answers set a cookie (%s), and are not stored. If that says "+
			"nothing about the caller: "+
			"set_cookie: {drop: […]}.", sortedNames(r.cookies))
	}
	return fmt.Sprintf("%d of %d answers would not be stored (%s; see "+
		"docs/reasons.md).", refused, all, most)
}

// asked says how often and by whom.
func (t *traffic) asked(r *read) string {
	callers, urls := map[int32]bool{}, map[question]bool{}
	without := 0
	for _, i := range r.events {
		e := &t.events[i]
		urls[question{path: e.path, query: e.query}] = true
		if e.caller == anonymous {
			without++
		} else if e.caller != unclear {
			callers[e.person] = true
		}
	}
	text := fmt.Sprintf("%s of %s, ", count(len(r.events), "GET"), count(len(urls), "URL"))
	switch {
	case len(callers) == 0:
		text += "without credentials"
	case without > 0:
		text += fmt.Sprintf("by %s with credentials, %s "+
			"without", count(len(callers), "caller"), times(without))
	default:
		text += fmt.Sprintf("by %s", count(len(callers), "caller"))
	}
	if len(r.params) > 0 {
		text += "; parameters: " + sortedNames(r.params)
	}
	return text + "."
}

// changes says how often the answer changed, and after which writes.
func (t *traffic) changes(r *read) string {
	text := fmt.Sprintf("Asked again with no write between, it was the same %d of "+
		"%s", r.steady, timesOf(r.steady+len(r.unexplained)))
	if n := r.moved + r.untouched; n > 0 {
		text += fmt.Sprintf("; with one, another %d of %s", r.moved, timesOf(n))
	}
	var causes []string
	for _, w := range t.writes {
		if n := w.seen[r]; n > 0 {
			causes = append(causes, fmt.Sprintf("%s (%d)", w.pattern(), n))
		}
	}
	if len(causes) > 0 {
		text += ", last after " + strings.Join(causes, ", ")
	}
	return text + "."
}

// sharing says whether an answer is the same for several callers.
func (t *traffic) sharing(r *read, shared bool, ttl time.Duration) string {
	switch {
	case shared:
		return "The answers say that they are for everybody (public)."
	case r.differ > 0:
		return fmt.Sprintf("Two callers got different answers %d of %s: an entry per "+
			"caller.", r.differ, timesOf(r.alike+r.differ))
	case r.alike == 0 && t.saysPublic(r):
		return "The answers say that they are for everybody (public), but no two callers were " +
			"seen to get the same: an entry per caller."
	case r.alike == 0:
		return ""
	}
	if ttl == 0 {
		ttl = t.ttl()
	}
	text := fmt.Sprintf("Two callers got the same answer %d of %s.", r.alike, timesOf(r.alike))
	would := t.simulate(r, model{shared: true, ttl: ttl, forAll: true})
	if would.ratio() < leastRatio {
		return text
	}
	text += fmt.Sprintf(" If that is by design, scope: shared with authorized: public would have "+
		"about %d %% hits.", percent(would.ratio()))
	if one, all := t.byOne(r); one > 0 {
		text += fmt.Sprintf(" But one caller alone asked for %d of %s: shared, everybody gets "+
			"their answers, whom the API may refuse them.", one, count(all, "URL"))
	}
	return text
}

// byOne counts the URLs of a read for which one caller alone asked, with credentials.
func (t *traffic) byOne(r *read) (one, all int) {
	by := map[question]persons{}
	for _, i := range r.events {
		if e := &t.events[i]; e.caller != unclear {
			q := question{path: e.path, query: e.query}
			who := by[q]
			who.add(e.person)
			by[q] = who
		}
	}
	for _, who := range by {
		if who.n == 1 {
			one++
		}
	}
	return one, len(by)
}

// writeRoute is the route of a write.
func (t *traffic) writeRoute(w *write) propose.Route {
	route := propose.Route{
		Live: true, Match: []string{w.pattern()},
		Name: propose.Name(w.path, prefix(w.path)) + "_" + strings.ToLower(w.method),
	}
	for _, tag := range slices.Concat(w.tags, w.extra) {
		if !slices.ContainsFunc(
			route.Invalidate,
			func(have propose.Tag) bool { return have.String() == tag.String() },
		) {
			route.Invalidate = append(route.Invalidate, tag)
		}
	}
	var seen []string
	for _, r := range t.reads {
		if n := w.seen[r]; n > 0 {
			seen = append(seen, fmt.Sprintf("GET %s (%d)", r.path, n))
		}
	}
	text := count(len(w.events), "request") + "."
	if len(seen) > 0 {
		text += " Last before a change of " + strings.Join(seen, ", ") + "."
	} else {
		text += " By its path; no change was seen."
		if len(w.events) >= leastIdle {
			text += " If it only reads, take it out: it costs hits."
		}
	}
	var extra []string
	for _, tag := range w.extra {
		extra = append(extra, tag.String())
	}
	if len(extra) > 0 {
		text += " That it changes " + strings.Join(extra, ", ") + " was seen, and does not " +
			"follow from its path."
	}
	route.Comment = []string{text}
	return route
}

func count(n int, one string, more ...string) string {
	switch {
	case n == 1:
		return "1 " + one
	case len(more) > 0:
		return fmt.Sprintf("%d %s", n, more[0])
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return itoa(n) + " times"
}

func timesOf(n int) string {
	if n == 1 {
		return "1 time"
	}
	return itoa(n) + " times"
}

func percent(share float64) int { return int(math.Round(100 * share)) }

// round is a time with two or three digits.
func round(d time.Duration) time.Duration {
	for unit := time.Microsecond; unit <= time.Second; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
	return d.Round(time.Second)
}

func sortedNames(names map[string]bool) string {
	out := make([]string, 0, len(names))
	for name := range names {
		out = append(out, name)
	}
	slices.Sort(out)
	if len(out) == 0 {
		return "none that can be shown"
	}
	return strings.Join(out, ", ")
}

func countIf(events []event, is func(event) bool) (n int) {
	for _, e := range events {
		if is(e) {
			n++
		}
	}
	return n
}
