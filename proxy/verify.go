package proxy

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sidecar/internal/store"
	"sidecar/internal/telemetry"
	"sidecar/internal/tracing"
	"sidecar/policy"
)

// verify lets a hit be compared with the backend's answer, behind the client's, if it is one of the
// share that the route wants. Parts, long bodies and entries whose cookies were dropped are never
// compared.
func (p *Proxy) verify(x *exchange, found store.Found) {
	e, rule := found.Entry, x.plan.Read.Cache.Verify
	if e.Total > 0 || e.Chunks != nil || len(e.Cookies) > 0 || x.table != p.Table() {
		return
	}
	t := p.verified.tally(x.table, x.plan.Route)
	if !t.sample(rule.Share) {
		return
	}
	span := x.behind("verify")
	own := p.refreshing(tracing.With(context.WithoutCancel(x.ctx), span), x, e)
	own.span = span
	q := &question{
		proxy: p, x: own, found: found, tally: t,
		age: time.Since(e.ResponseTime.Time()) + e.InitialAge,
	}
	if !p.comparisons.add(q) {
		t.count(p.Metrics, x.plan.Route, telemetry.VerifiedDropped)
	}
}

// Bounds of the comparisons in one process: how many are made at once, how many wait, and the bytes
// of stored bodies that these hold.
const (
	maxComparing    = 2
	maxQuestions    = 64
	maxQuestionSize = 8 << 20
)

// comparisons are the questions that wait, and those that are asked. The zero value has none.
type comparisons struct {
	mu      sync.Mutex
	waiting []*question
	held    int64 // bytes of bodies, with those that are being compared
	asking  int
	closed  bool
	ctx     context.Context // nil: there was no question yet
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// add takes a question. It reports false where too many wait.
func (c *comparisons) add(q *question) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	size := int64(len(q.found.Entry.Body))
	if c.closed || len(c.waiting) >= maxQuestions || c.held+size > maxQuestionSize {
		return false
	}
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancel(context.Background())
	}
	c.waiting, c.held = append(c.waiting, q), c.held+size
	if c.asking < maxComparing {
		c.asking++
		c.running.Go(c.work) // ends when nothing waits; close ends it, and waits
	}
	return true
}

// work asks the waiting questions.
func (c *comparisons) work() {
	for {
		q := c.next()
		if q == nil {
			return
		}
		q.answer(c.ctx)
		c.mu.Lock()
		c.held -= int64(len(q.found.Entry.Body))
		c.mu.Unlock()
	}
}

// next is the question that has waited longest; nil: there is none.
func (c *comparisons) next() *question {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) == 0 {
		c.asking--
		return nil
	}
	q := c.waiting[0]
	c.waiting = slices.Delete(c.waiting, 0, 1)
	return q
}

func (c *comparisons) close() {
	c.mu.Lock()
	c.closed, c.waiting = true, nil
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
	c.running.Wait()
}

// verified are the counts of comparisons, by route, since the policies in force were loaded:
// comparisons under others prove nothing about them.
type verified struct {
	mu    sync.Mutex
	since atomic.Pointer[tallies]
}

type tallies struct {
	version string // of the policies
	began   time.Time
	routes  sync.Map // *tally by name, bounded by the policies
}

// of are the tallies of a table, begun anew where the table is another one.
func (v *verified) of(table *policy.Table) *tallies {
	if t := v.since.Load(); t != nil && t.version == table.Version() {
		return t
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if t := v.since.Load(); t != nil && t.version == table.Version() {
		return t
	}
	t := &tallies{version: table.Version(), began: time.Now()}
	v.since.Store(t)
	return t
}

func (v *verified) tally(table *policy.Table, route string) *tally {
	return v.of(table).route(route)
}

func (t *tallies) route(name string) *tally {
	if found, ok := t.routes.Load(name); ok {
		return found.(*tally)
	}
	found, _ := t.routes.LoadOrStore(name, &tally{seed: rand.Uint64()})
	return found.(*tally)
}

// A tally has the counts of one route.
type tally struct {
	seed                                   uint64
	hits                                   atomic.Uint64 // that could be compared
	match, mismatch, inconclusive, dropped atomic.Uint64

	mu  sync.Mutex
	why map[telemetry.Inconclusive]uint64 // of inconclusive
}

// sample reports whether the next hit is one of a share. It takes one at random out of each 1/share
// of them: so the share is never exceeded, and no period of the requests meets its own.
func (t *tally) sample(share float64) bool {
	n := t.hits.Add(1) - 1
	k := math.Floor(float64(n) * share)
	begin, end := beginning(k, share), beginning(k+1, share)
	return n == begin+uint64(t.uniform(uint64(k))*float64(end-begin))
}

// beginning is the first of the hits that are the kth 1/share of all.
func beginning(k, share float64) uint64 {
	n := math.Ceil(k / share)
	for n > 0 && math.Floor((n-1)*share) >= k { // rounding
		n--
	}
	for math.Floor(n*share) < k {
		n++
	}
	return uint64(n)
}

// uniform is the kth of random numbers from 0 to 1 (SplitMix64).
func (t *tally) uniform(k uint64) float64 {
	z := t.seed + (k+1)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}

func (t *tally) count(m *telemetry.Metrics, route string, result telemetry.Verified) {
	switch result {
	case telemetry.VerifiedMatch:
		t.match.Add(1)
	case telemetry.VerifiedMismatch:
		t.mismatch.Add(1)
	case telemetry.VerifiedDropped:
		t.dropped.Add(1)
	}
	m.Verified(route, result)
}

// countOpen counts a comparison without a result.
func (t *tally) countOpen(m *telemetry.Metrics, route string, why telemetry.Inconclusive) {
	t.mu.Lock()
	if t.why == nil {
		t.why = map[telemetry.Inconclusive]uint64{}
	}
	t.why[why]++
	t.mu.Unlock()
	t.inconclusive.Add(1)
	m.Inconclusive(route, why)
}

// open are the comparisons without a result, by reason.
func (t *tally) open() map[telemetry.Inconclusive]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.why)
}

// Verified is the result of comparing hits with the backend's answers, for /status.
type Verified struct {
	Since  time.Time       `json:"since"` // the policies in force count from here on
	Routes []VerifiedRoute `json:"routes"`
}

// A VerifiedRoute is Verified for one route.
type VerifiedRoute struct {
	Route        string `json:"route"`
	Share        string `json:"share"`
	Hits         uint64 `json:"hits"`     // that could be compared
	Compared     uint64 `json:"compared"` // with a result
	Differed     uint64 `json:"differed"` // of these
	Inconclusive uint64 `json:"inconclusive"`
	Dropped      uint64 `json:"dropped"` // as too many waited
	Proves       string `json:"proves"`

	// Why is Inconclusive by reason.
	Why map[telemetry.Inconclusive]uint64 `json:"inconclusive_by,omitempty"`
}

// Verified reports the comparisons of the routes that have some.
func (p *Proxy) Verified() Verified {
	table := p.Table()
	t := p.verified.of(table)
	v := Verified{Since: t.began.UTC(), Routes: []VerifiedRoute{}}
	for _, r := range table.Routes() {
		if r.Verify == "" {
			continue
		}
		counts := t.route(r.Name)
		differed := counts.mismatch.Load()
		compared := counts.match.Load() + differed
		v.Routes = append(v.Routes, VerifiedRoute{
			Route: r.Name, Share: r.Verify, Hits: counts.hits.Load(), Compared: compared,
			Differed:     differed,
			Inconclusive: counts.inconclusive.Load(), Dropped: counts.dropped.Load(),
			Proves: proves(compared, differed), Why: counts.open(),
		})
	}
	return v
}

// proves tells the worth of the comparisons. Where none of n differs, the share of hits that do is
// at most 3/n with a confidence of 95 %: (1-3/n)^n < 0.05.
func proves(compared, differed uint64) string {
	n := strconv.FormatUint(compared, 10)
	switch {
	case differed > 0:
		return strconv.FormatUint(differed, 10) + " of " + n +
			" hits differed from the API's answer: the log names the places"
	case compared == 0:
		return "nothing: no hit was compared yet"
	case compared < 4:
		return "next to nothing: none of " + n + " hits differed"
	}
	return "none of " + n + " hits differed: at most " + atMost(compared) + "% do, with 95% " +
		"confidence"
}

// atMost is 300/n with two digits, never rounded down: less would not have the confidence.
func atMost(n uint64) string {
	most, digits := 300/float64(n), 0
	for scaled := most; scaled < 10; scaled *= 10 {
		digits++
	}
	unit := math.Pow10(digits)
	return strconv.FormatFloat(math.Ceil(most*unit)/unit, 'f', -1, 64)
}

// How long the backend and Redis have for one question, and after which pause it is asked again
// where the answers differ: a write that is not announced may just be under way.
const (
	questionTime = 10 * time.Second
	askAgain     = time.Second
)

// A question is a hit that is to be compared with the backend's answer.
type question struct {
	proxy *Proxy
	x     *exchange // of the question: the client's request, without its wishes
	found store.Found
	tally *tally
	age   time.Duration // of the entry when it was served
}

// answer asks the backend, compares, and counts. Nothing is counted where ctx ended it.
func (q *question) answer(ctx context.Context) {
	differs, why := false, telemetry.InconclusiveFailed
	func() {
		defer logPanic("a comparison")
		differs, why = q.compare(tracing.With(ctx, q.x.span))
	}()
	q.x.span.Set(tracing.Flag("sidecar.differs", differs),
		tracing.String("sidecar.inconclusive", string(why)))
	q.x.span.End(time.Now())
	route, metrics := q.x.out.Route, q.proxy.Metrics
	switch {
	case ctx.Err() != nil:
	case why != "":
		q.tally.countOpen(metrics, route, why)
	case differs:
		q.tally.count(metrics, route, telemetry.VerifiedMismatch)
	default:
		q.tally.count(metrics, route, telemetry.VerifiedMatch)
	}
}

// compare asks once, and where the answer differs once more. The entry has to stand by the protocol
// before and after each question: else a write may have come between. why is not empty where that
// says nothing about the entry.
func (q *question) compare(ctx context.Context) (differs bool, why telemetry.Inconclusive) {
	d, why := q.ask(ctx)
	if why == "" && d.any() {
		select {
		case <-ctx.Done():
			return false, telemetry.InconclusiveFailed
		case <-time.After(askAgain):
		}
		if d, why = q.ask(ctx); why == "" && !d.any() {
			why = telemetry.InconclusiveUnsteady
		}
	}
	log := q.proxy.log().With("route", q.x.out.Route, "path", q.x.r.URL.Path)
	switch {
	case why != "":
		log.DebugContext(ctx, "a hit could not be compared", "why", why)
		return false, why
	case !d.any():
		return false, ""
	}
	log.WarnContext(ctx, "a hit differs from the API's answer", "differs",
		strings.Join(d.places, ", "),
		"stored_status", q.found.Entry.Status, "status", d.status, "age",
		q.age.Round(time.Millisecond).String(),
		"memory", q.found.Memory)
	return true, ""
}

// ask asks the backend once. why is not empty where that says nothing about the entry.
func (q *question) ask(ctx context.Context) (d difference, why telemetry.Inconclusive) {
	ctx, cancel := context.WithTimeout(ctx, questionTime)
	defer cancel()
	if why := q.stands(ctx); why != "" {
		return d, why
	}
	p := q.proxy
	out, err := p.outgoing(q.x)
	if err != nil {
		return d, telemetry.InconclusiveFailed
	}
	resp, _, err := p.roundTrip(q.x, ctx, out)
	if err != nil {
		return d, telemetry.InconclusiveNoAnswer
	}
	defer resp.Body.Close()
	if d, why = q.differences(resp); why != "" || !d.any() {
		return d, why
	}
	return d, q.stands(ctx)
}

// stands is why the entry may be old by now; "" if it is not.
func (q *question) stands(ctx context.Context) telemetry.Inconclusive {
	switch ok, err := q.proxy.Store.Stands(ctx,
		q.proxy.Redis.Budget(q.proxy.RedisTimeout), q.found); {
	case err != nil:
		return telemetry.InconclusiveRedis
	case !ok:
		return telemetry.InconclusiveWritten
	}
	return ""
}

// wouldNotLast reports whether an error may be about the moment, or about the request's fields
// rather than about the resource.
func wouldNotLast(status int) bool {
	switch status {
	case http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone,
		http.StatusUnavailableForLegalReasons:
		return false
	}
	return status >= 400
}
