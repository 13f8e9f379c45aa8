// Package observe watches the traffic of an API and proposes policies for it: the routes, for whom
// an answer is and how long it holds, and the reads that each write changes.
//
// One request by file names: record takes down a request, without its content: a digest of the
// answer, and the decision of package httpcache. When the watch is over, template infers routes
// from the paths, series compares the answers to equal requests, effect finds the writes that
// changed them, simulate plays the traffic through a cache, and report writes it down.
package observe

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"hash/maphash"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// Bounds of the record of the traffic: by default at most some 70 MiB. When one is reached, the
// rest of the traffic passes unobserved: to leave out single requests would falsify all that is
// inferred.
type Bounds struct {
	Events  int // requests
	Paths   int // distinct ones
	Callers int // distinct ones
}

// DefaultBounds are those of the command.
var DefaultBounds = Bounds{Events: 200_000, Paths: 20_000, Callers: 20_000}

// Bounds of single values.
const (
	maxPath  = 512     // bytes of a path that is observed
	maxNames = 20      // names of parameters, of cookies, of fields, of one route
	maxBody  = 1 << 20 // the default max_body
)

// A Recorder observes requests. It is safe for concurrent use.
type Recorder struct {
	bounds   Bounds
	identify *caller.Identifier
	seed     maphash.Seed
	began    time.Time
	odd      atomic.Int64 // requests that are not observed, for their target

	mu      sync.Mutex
	ended   time.Duration // of the watch; 0: it goes on
	full    string        // the bound that was reached
	events  []event
	paths   map[string]int32
	callers map[string]int32
	persons map[string]int32
	tokens  int                  // callers that a token makes, whose claims are those of a person
	bare    int                  // those of tokens without Bearer
	names   map[int32]*pathNames // by path
	fields  map[string]bool      // names of fields that say who is asking, and are not declared
}

// pathNames are names that the requests to a path and their answers have.
type pathNames struct{ params, cookies map[string]bool }

// An event is one request.
type event struct {
	start, head, end time.Duration // since the watch began; head is that of the answer's head
	path             int32
	caller           int32 // anonymous, unclear or a number: one to whom an entry belongs
	person           int32 // the same, but one for all tokens with the same lasting claims
	bare             bool  // its token came without Bearer
	method           string
	status           int
	query            uint64 // of authority and query
	variant          uint64 // of the request fields that the answer varies on
	digest           digest // of the answer; zero: it is not known
	private, shared  fate
	public           bool // the answer itself says that it is for everybody
	overridden       bool // a private cache would store it, whatever lifetime it states
	ignored          bool // the same, whatever its own Cache-Control says
	drops            bool // it sets cookies that no caller is told by, and is stored without them
	brings           bool // the request has cookies of these names
}

// Callers that have no number.
const (
	anonymous int32 = -1 // without credentials
	unclear   int32 = -2 // the cache would be bypassed
)

type digest [16]byte

// A fate is a cache's decision about an answer.
type fate struct {
	store bool
	why   reason.Reason // not stored
	life  time.Duration // stated by the answer; unstated: the policy decides
}

// unstated marks a lifetime that the answer does not state. No answer states this one.
const unstated = 1000*time.Hour + 1

// New begins a watch. secret makes the digests of callers.
func New(secret []byte, b Bounds) (*Recorder, error) {
	identify, err := caller.New(caller.Default(), func() []byte { return secret })
	if err != nil {
		return nil, err
	}
	return &Recorder{
		bounds: b, identify: identify, seed: maphash.MakeSeed(), began: time.Now(),
		paths: map[string]int32{}, callers: map[string]int32{}, persons: map[string]int32{},
		names: map[int32]*pathNames{}, fields: map[string]bool{},
	}, nil
}

// Stop ends the watch. Requests in flight are left out.
func (r *Recorder) Stop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended == 0 {
		r.ended = max(time.Since(r.began), 1)
	}
}

// Seen is how many requests have been observed, and the bound that ended the watch; "" if none
// did.
func (r *Recorder) Seen() (requests int, full string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.events), r.full
}

// Handler is next with each request observed. next must use its ResponseWriter's abilities by
// http.ResponseController.
func (r *Recorder) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		path, query, _, ok := httpfield.SplitTarget(req.RequestURI)
		if !ok || len(path) > maxPath || !strings.HasPrefix(path, "/") {
			r.odd.Add(1)
			next.ServeHTTP(w, req)
			return
		}
		o := &observed{
			ResponseWriter: w,
			recorder:       r,
			request:        req,
			path:           path,
			query:          query,
			hash:           sha256.New(),
			start:          time.Now(),
		}
		view := o.view()
		o.who = r.identify.IdentifyRequest(view, o.start)
		o.claimed = r.identify.Claimed(view)
		defer o.finish()
		next.ServeHTTP(o, req)
		o.whole = true
	})
}

// observed is a ResponseWriter that digests the answer as it passes.
type observed struct {
	http.ResponseWriter
	recorder    *Recorder
	request     *http.Request
	path, query string
	who         caller.Caller
	claimed     caller.Claimed // by the claims of its token, which nobody has verified
	start, head time.Time
	status      int
	bytes       int64
	whole       bool // the handler returned
	hash        interface {
		Write([]byte) (int, error)
		Sum([]byte) []byte
	}

	variant         uint64
	private, shared fate
	public          bool

	overridden, ignored, drops, brings bool

	cookies []string // names of those that the answer sets
}

// Unwrap is for http.ResponseController.
func (o *observed) Unwrap() http.ResponseWriter { return o.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (o *observed) WriteHeader(status int) {
	if o.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		o.judge(status)
	}
	o.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (o *observed) Write(b []byte) (int, error) {
	if o.status == 0 {
		o.WriteHeader(http.StatusOK)
	}
	n, err := o.ResponseWriter.Write(b)
	o.bytes += int64(n)
	if o.request.Method == http.MethodGet {
		_, _ = o.hash.Write(b[:n]) // a hash takes everything
	}
	return n, err
}

// view is the request as the rules see it.
func (o *observed) view() httpfield.Request {
	r := o.request
	return httpfield.Request{
		Method: r.Method, Authority: r.Host, Path: o.path, Query: o.query,
		Fields:  httpfield.Header(r.Header),
		HasBody: r.ContentLength != 0 || len(r.TransferEncoding) > 0,
	}
}

// judge asks the rules of caches about the answer's head.
func (o *observed) judge(status int) {
	o.status, o.head = status, time.Now()
	if o.request.Method != http.MethodGet {
		return
	}
	fields := httpfield.Header(o.Header())
	if names, every := httpcache.VaryNames(fields); !every {
		o.variant = o.recorder.variantOf(names, o.request.Header)
	}
	cc := httpfield.ParseCacheControl(fields.Values("Cache-Control"))
	o.public = cc.Public || cc.SMaxAge.Set
	anySet := o.setCookies(fields)
	own := httpcache.Rules{Shared: o.who.Anonymous} // who bring no credentials share their answers
	o.private = o.fate(status, fields, own)
	o.shared = o.fate(status, fields, httpcache.Rules{Shared: true})
	own.Override = true
	o.overridden = o.fate(status, fields, own).store
	own.Override, own.IgnoreResponse = false, true
	o.ignored = o.fate(status, fields, own).store
	if anySet && !o.drops {
		o.private, o.shared = o.private.unless(reason.SetCookie), o.shared.unless(reason.SetCookie)
		o.overridden, o.ignored = false, false
	}
}

// unless is a fate that a reason makes one of not being stored.
func (f fate) unless(why reason.Reason) fate {
	if !f.store {
		return f
	}
	return fate{why: why}
}

// ignored are the cookies that say nothing about the caller, by default.
var ignored = httpfield.Names(caller.Default().IgnoreCookies)

// setCookies notes the cookies that the answer sets.
func (o *observed) setCookies(fields httpfield.Fields) (any bool) {
	lines := fields.Values("Set-Cookie")
	o.drops, o.brings = len(lines) > 0, true
	for _, line := range lines {
		cookie, err := http.ParseSetCookie(line)
		if err != nil {
			o.drops = false
			continue
		}
		o.cookies = append(o.cookies, cookie.Name)
		o.drops = o.drops && ignored.Has(cookie.Name) && plainName.MatchString(cookie.Name)
		if _, err := o.request.Cookie(cookie.Name); err != nil {
			o.brings = false
		}
	}
	return len(lines) > 0
}

// fate is the decision about the answer of a cache with these rules. An answer to a conditional
// request that says that nothing has changed counts as the whole one.
func (o *observed) fate(status int, fields httpfield.Fields, rules httpcache.Rules) fate {
	if status == http.StatusNotModified {
		status = http.StatusOK
	}
	rules.TTL, rules.HasTTL = unstated, true
	demand := httpcache.Read(rules, o.view())
	s := httpcache.Store(
		rules,
		&demand,
		httpcache.Requester{Credentials: !o.who.Anonymous},
		httpcache.Response{
			Status: status, Fields: fields, RequestTime: o.start, ResponseTime: o.head,
		},
	)
	f := fate{store: s.Store && status != http.StatusPartialContent, why: s.Why, life: s.Lifetime}
	switch {
	case f.store && f.life != unstated:
		f.life = max(0, f.life-s.InitialAge)
	case status == http.StatusPartialContent:
		f.why = reason.PartialContent
	}
	return f
}

// finish takes the request down, also where its handler ends by a panic.
func (o *observed) finish() {
	r, end := o.recorder, time.Now()
	if o.status == 0 {
		status := http.StatusOK
		switch {
		case !o.whole:
			status = http.StatusBadGateway // nobody knows what it did
		case len(o.request.Header["Upgrade"]) > 0:
			status = http.StatusSwitchingProtocols
		}
		o.judge(status)
	}
	if o.request.Method == http.MethodGet && !o.whole {
		return // the client left
	}
	e := event{
		start: o.start.Sub(
			r.began,
		), head: o.head.Sub(r.began), end: end.Sub(r.began), method: methodOf(o.request),
		status: o.status, query: r.hash(o.request.Host, canonical(o.query)), variant: o.variant,
		private: o.private, shared: o.shared, public: o.public,
		overridden: o.overridden, ignored: o.ignored, drops: o.drops, brings: o.brings,
	}
	switch {
	case o.bytes > maxBody:
		e.refuse(reason.TooLarge)
	case len(o.Header()["Trailer"]) > 0:
		e.refuse(reason.Trailers)
	}
	if o.status != http.StatusNotModified {
		sum := o.hash.Sum(binary.BigEndian.AppendUint16(nil, uint16(o.status)))
		whole := sha256.Sum256(sum) // the status too
		copy(e.digest[:], whole[:])
	}
	r.add(e, o)
}

// refuse makes the answer one that no cache stores.
func (e *event) refuse(why reason.Reason) {
	e.private, e.shared = fate{why: why}, fate{why: why}
	e.overridden, e.ignored = false, false
}

var methods = httpfield.Methods()

// methodOf is the method of a request, bounded, and without the head that its text is cut from.
func methodOf(r *http.Request) string {
	if i := slices.Index(methods, r.Method); i >= 0 {
		return methods[i]
	}
	return strings.Clone(r.Method[:min(len(r.Method), 32)])
}

// canonical is a query in one order.
func canonical(query string) string {
	if !strings.Contains(query, "&") {
		return query
	}
	parts := strings.Split(query, "&")
	slices.SortStableFunc(parts, func(a, b string) int {
		nameA, _, _ := strings.Cut(a, "=")
		nameB, _, _ := strings.Cut(b, "=")
		return strings.Compare(nameA, nameB)
	})
	return strings.Join(parts, "&")
}

// add keeps an event, or ends the watch where a bound is reached.
func (r *Recorder) add(e event, o *observed) {
	who := o.who
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended != 0 {
		return
	}
	path, known := r.paths[o.path]
	number, knownCaller := r.callers[who.ID]
	switch {
	case len(r.events) >= r.bounds.Events:
		r.stopAt("requests", r.bounds.Events)
	case !known && len(r.paths) >= r.bounds.Paths:
		r.stopAt("paths", r.bounds.Paths)
	case !knownCaller && len(r.callers) >= r.bounds.Callers:
		r.stopAt("callers", r.bounds.Callers)
	}
	if r.ended != 0 {
		return
	}
	if !known {
		path = int32(len(r.paths))
		r.paths[strings.Clone(o.path)] = path // it may keep a request's whole head alive
	}
	e.path = path
	switch {
	case who.Bypass != "":
		e.caller, e.person = unclear, unclear
		r.nameFields(o.request.Header)
	case who.Anonymous:
		e.caller, e.person = anonymous, anonymous
	default:
		if !knownCaller {
			number = int32(len(r.callers))
			r.callers[who.ID] = number
			if o.claimed.ID != "" {
				r.tokens++
			}
			if o.claimed.Bare {
				r.bare++
			}
		}
		e.caller, e.person, e.bare = number, r.personOf(o), o.claimed.Bare
	}
	if o.request.Method == http.MethodGet && o.status < 300 {
		r.nameParts(path, o)
	}
	r.events = append(r.events, e)
}

// personOf is the number of a caller, one for all its tokens. There are no more than callers.
func (r *Recorder) personOf(o *observed) int32 {
	id := cmp.Or(o.claimed.ID, o.who.ID)
	number, known := r.persons[id]
	if !known {
		number = int32(len(r.persons))
		r.persons[id] = number
	}
	return number
}

func (r *Recorder) stopAt(what string, bound int) {
	r.ended = max(time.Since(r.began), 1)
	r.full = "the bound of " + itoa(bound) + " " + what
}

// plainName is a name that is printed. Others may be values.
var plainName = regexp.MustCompile(`^[A-Za-z_][A-Za-z_.-]{0,30}$`)

// nameParts notes the names of parameters and of cookies that are set.
func (r *Recorder) nameParts(path int32, o *observed) {
	if o.query == "" && len(o.cookies) == 0 {
		return
	}
	n := r.names[path]
	if n == nil {
		n = &pathNames{map[string]bool{}, map[string]bool{}}
		r.names[path] = n
	}
	for part := range strings.SplitSeq(o.query, "&") {
		name, _, named := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil && named { // else it is a value
			note(n.params, plain)
		}
	}
	for _, name := range o.cookies {
		note(n.cookies, name)
	}
}

func note(names map[string]bool, name string) {
	if len(names) < maxNames && !names[name] && plainName.MatchString(name) {
		names[strings.Clone(name)] = true
	}
}

// nameFields notes the fields that say who is asking, and that the default does not declare.
func (r *Recorder) nameFields(h http.Header) {
	for name := range h {
		if name != "Authorization" && name != "X-Api-Key" &&
			httpfield.Identifies(strings.ToLower(name)) {
			note(r.fields, name)
		}
	}
}

// variantOf is the digest of the request fields that select an answer.
func (r *Recorder) variantOf(names []string, h http.Header) uint64 {
	if len(names) == 0 {
		return 0
	}
	var parts []string
	for _, v := range cachekeys.SelectVary(names, httpfield.Header(h)) {
		parts = append(append(parts, v.Name), v.Values...)
	}
	return r.hash(parts...)
}

func (r *Recorder) hash(parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	for _, p := range parts {
		_, _ = h.WriteString(p)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}
