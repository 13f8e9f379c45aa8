package rfc

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A trial is a case under way.
type trial struct {
	promise
	base, path string
	places     chan struct{} // one is held while the case does not wait
	place      sync.RWMutex  // guards path and began: a late answer of the origin may read them
	began      time.Time

	mu     sync.Mutex
	script []reply // that the step under way has still to use
	step   int
	open   chan struct{} // closed when the origin may answer
	seen   []string      // faults of requests
	asked  int           // requests in this step
	done   time.Time     // when the origin answered last, and the client had that if it waited
	bodies map[int]source
}

// A source is an answer that can be served later.
type source struct {
	status int
	body   string
}

var clock = regexp.MustCompile(`\{(now|start)([+-]\d+)?\}`)

// fill fills {now}, {now-60}, {start+60} with dates, {base} with the sidecar's URL, {host} with its
// host and port, and {path} with the case's path. start is when the case began.
func (c *trial) fill(text string) string {
	c.place.RLock()
	defer c.place.RUnlock()
	text = clock.ReplaceAllStringFunc(text, func(m string) string {
		parts := clock.FindStringSubmatch(m)
		at := time.Now()
		if parts[1] == "start" {
			at = c.began
		}
		n, _ := strconv.Atoi(parts[2])
		return at.Add(time.Duration(n) * time.Second).UTC().Format(http.TimeFormat)
	})
	return strings.NewReplacer("{base}", c.base, "{host}", strings.TrimPrefix(c.base, "http://"),
		"{path}", c.path).Replace(text)
}

// asksFor reports whether the target belongs to the run under way. A refresh of an earlier run may
// come late: it is on that run's path.
func (c *trial) asksFor(target string) bool {
	c.place.RLock()
	defer c.place.RUnlock()
	return strings.HasPrefix(target, c.path)
}

// lacks says how the field that want names differs from it. Entity tags are a set; a value that
// ends in … is the beginning of one.
func (c *trial) lacks(values func(string) []string, want string) string {
	name, value, present := strings.Cut(c.fill(want), ": ")
	name = strings.TrimSuffix(name, ":")
	got := strings.Join(values(name), ", ")
	if prefix, open := strings.CutSuffix(value, "…"); open && strings.HasPrefix(got, prefix) {
		return ""
	}
	if present && strings.EqualFold(name, "If-None-Match") {
		a, b := strings.Split(got, ", "), strings.Split(value, ", ")
		slices.Sort(a)
		slices.Sort(b)
		if slices.Equal(a, b) {
			return ""
		}
	}
	switch {
	case !present && got != "":
		return fmt.Sprintf("%s: %s, and should have none", name, got)
	case present && got != value:
		return fmt.Sprintf("%s: %s, want %s", name, got, value)
	}
	return ""
}

// A received is the response that a client got.
type received struct {
	status   int
	fields   http.Header
	body     []byte
	trailers http.Header
	early    error // that the body ended with
}

// cache is the answer's Cache-Status.
func (r received) cache() string { return r.fields.Get("Cache-Status") }

// ask sends the step's request.
func (c *trial) ask(ctx context.Context, s step) (received, error) {
	var body io.Reader
	if s.body != "" {
		body = strings.NewReader(s.body)
	}
	req, err := http.NewRequestWithContext(ctx, s.method, c.base+c.path+s.suffix, body)
	if err != nil {
		return received{}, err
	}
	for _, f := range append(slices.Clone(c.on.fields), s.fields...) {
		name, value, _ := strings.Cut(c.fill(f), ": ")
		switch {
		case name == "Host":
			req.Host = value
		case name == "Authorization":
			req.Header.Set(name, value) // the step's own stands for the route's
		default:
			req.Header.Add(name, value)
		}
	}
	resp, err := client.Do(req)
	if err != nil {
		return received{}, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return received{resp.StatusCode, resp.Header, content, resp.Trailer, err}, nil
}

// rfcPatience bounds a step, soonPatience one in which the origin has no say when the client is
// answered.
const (
	rfcPatience  = 10 * time.Second
	soonPatience = 3 * time.Second
)

// attempts is how often a case may run, stall how long its steps together may take beside their
// waiting. Lifetimes are a second or two: a case that fails while the machine stood still for most
// of one runs again, on a path of its own.
const (
	attempts = 8
	stall    = 500 * time.Millisecond
)

// run goes through the steps and returns the faults.
func (c *trial) run(ctx context.Context) (faults []string) {
	c.places <- struct{}{}
	defer func() { <-c.places }()
	path := c.path
	for attempt := range attempts {
		if attempt > 0 {
			c.mu.Lock()
			c.place.Lock()
			c.path = fmt.Sprintf("%s/again%d", path, attempt)
			c.place.Unlock()
			c.bodies, c.seen = map[int]source{}, nil
			c.mu.Unlock()
		}
		var stalled bool
		if faults, stalled = c.attempt(ctx); len(faults) == 0 || !stalled {
			break
		}
	}
	return faults
}

// attempt is one run of all steps. stalled reports whether they took longer than they should.
func (c *trial) attempt(ctx context.Context) (faults []string, stalled bool) {
	c.place.Lock()
	c.began = time.Now()
	c.place.Unlock()
	var took time.Duration
	for i, s := range c.steps {
		began := time.Now()
		faults = c.take(ctx, i+1, s)
		took += max(0, time.Since(began)-s.wait)
		if len(faults) > 0 {
			break
		}
	}
	return faults, took > stall
}

// take does step n.
func (c *trial) take(ctx context.Context, n int, s step) (faults []string) {
	patience := rfcPatience
	if s.tries || s.behind {
		patience = soonPatience
	}
	open := make(chan struct{})
	c.mu.Lock()
	c.step, c.script, c.asked, c.open = n, s.replies, 0, open
	wait := time.Until(c.done.Add(s.wait))
	c.mu.Unlock()
	if s.wait > 0 {
		<-c.places // another may use it
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		c.places <- struct{}{}
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if !s.behind {
		close(open)
	}
	var got received
	var err error
	for i := 0; ; i++ {
		got, err = c.ask(ctx, s)
		c.answered(s)
		if err != nil && ctx.Err() != nil && len(faults) > 0 {
			break // the earlier fault says more
		}
		if err != nil {
			faults = []string{fmt.Sprintf("step %d: %v", n, err)}
		} else {
			faults = c.check(n, s, got)
		}
		if len(faults) == 0 && i+1 < s.count {
			continue
		}
		if len(faults) == 0 || !s.tries || ctx.Err() != nil {
			break
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	if s.behind {
		close(open)
	} else if len(faults) == 0 && !s.hasty &&
		(strings.Contains(got.cache(), "stored") ||
			strings.Contains(got.cache(), "fwd-status=304")) {
		c.awaitFill(ctx, s)
	}
	return append(faults, c.requests(ctx, n, s)...)
}

// fillTime bounds how long an answer's way into the store is waited for.
const fillTime = 300 * time.Millisecond

// awaitFill waits until the answer of step s is stored, if it is fresh: until a request that must
// not be forwarded is answered. That it should be there at once is a case of its own. The request
// takes no stale answer, or a lifetime of a second that is over already, since Date has whole
// seconds, would have the answer refreshed.
func (c *trial) awaitFill(ctx context.Context, s step) {
	if s.method != http.MethodGet || s.body != "" || len(s.replies) == 0 || c.left() > 0 ||
		s.from > 0 || s.status >= 500 {
		return
	}
	s.fields = slices.DeleteFunc(slices.Clone(s.fields), func(f string) bool {
		name, _, _ := strings.Cut(f, ":")
		return slices.Contains([]string{"Cache-Control", "Pragma", "Range"}, name) ||
			strings.HasPrefix(name, "If-")
	})
	s.fields = append(s.fields, "Cache-Control: only-if-cached, min-fresh=0")
	for deadline := time.Now().Add(fillTime); time.Now().Before(deadline) &&
		ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
		if got, err := c.ask(ctx, s); err != nil || got.status != http.StatusGatewayTimeout {
			return
		}
	}
}

// left is how many replies of the step are still to be used.
func (c *trial) left() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.script)
}

// requests returns the faults of the requests that the origin got in step n, and waits for those
// that come behind the answer.
func (c *trial) requests(ctx context.Context, n int, s step) (faults []string) {
	for {
		c.mu.Lock()
		asked, left, seen := c.asked, len(c.script), c.seen
		c.seen = nil
		c.mu.Unlock()
		faults = append(faults, seen...)
		if s.behind && !s.optional && asked == 0 && ctx.Err() == nil && len(faults) == 0 {
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		r, scripted := s.last()
		broken := scripted && r.ends != whole
		if left > 0 && !s.optional && (!broken || asked == 0) {
			faults = append(faults, fmt.Sprintf("step %d: the origin was asked %d times, want %d",
				n, asked, len(s.replies)))
		}
		return faults
	}
}

// answered notes when the client had the origin's answer: a lifetime has begun by then, which may
// be later than the origin sent it.
func (c *trial) answered(s step) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked > 0 && !s.behind {
		c.done = time.Now()
	}
}

// check compares the answer that a client got in step n, and keeps the body that a later one may
// get from the store.
func (c *trial) check(n int, s step, got received) (faults []string) {
	wrong := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf("step %d: %s %s: ", n, s.method, c.path+s.suffix)+
			fmt.Sprintf(format, args...))
	}
	c.mu.Lock()
	asked := c.asked > 0 && !s.behind
	c.mu.Unlock()
	c.checkContent(s, got, asked, c.served(n, s, asked), wrong)
	for _, want := range s.gets {
		if fault := c.lacks(got.fields.Values, want); fault != "" {
			wrong("the answer has %s (%s)", fault, got.cache())
		}
	}
	for _, want := range s.trailers {
		if fault := c.lacks(got.trailers.Values, want); fault != "" {
			wrong("the trailers have %s", fault)
		}
	}
	checkCache(s, got, asked, wrong)
	if r, ok := s.last(); ok && asked && s.method == http.MethodGet && r.ends == whole &&
		r.status != http.StatusNotModified {
		c.bodies[n] = source{r.status, r.bytes(n)}
	}
	return faults
}

// checkContent compares status and body with the expected ones.
func (c *trial) checkContent(s step, got received, asked bool, served source,
	wrong func(string, ...any)) {
	if got.status != served.status &&
		(served.status != gatewayError || got.status < 502 || got.status > 504) {
		wrong("%d %q %q, want %d", got.status, got.body, got.cache(), served.status)
	}
	if (got.early != nil) != s.broken {
		wrong("the body ends with %v", got.early)
	}
	r, scripted := s.last()
	// by the sidecar
	made := s.status >= 500 && s.oneOf == nil && s.from == 0 &&
		(!asked || scripted && r.ends != whole)
	if s.method == http.MethodHead || bodyless(got.status) || s.broken || made {
		return
	}
	want := s.oneOf
	if want == nil {
		want = []string{served.body}
	}
	if !slices.Contains(want, string(got.body)) {
		wrong("%q from %q, want %q", got.body, got.cache(), want)
	}
}

// checkCache compares Cache-Status and Age with the requests that the origin got.
func checkCache(s step, got received, asked bool, wrong func(string, ...any)) {
	members := strings.Split(strings.Join(got.fields.Values("Cache-Status"), ", "), ", ")
	last := members[len(members)-1]
	lacks := func(part string) bool { return !strings.Contains(last, part) }
	if !strings.HasPrefix(last, "sidecar") || slices.ContainsFunc(s.says, lacks) {
		wrong("Cache-Status is %q, want %q", last, s.says)
	}
	hit := strings.HasPrefix(last, "sidecar; hit")
	r, scripted := s.last()
	answered := asked && scripted && r.ends == whole && r.status < 500
	if hit && answered || !hit && !asked && got.status < 500 &&
		!strings.Contains(last, "collapsed") {
		wrong("Cache-Status is %q, and the origin was asked: %t", last, asked)
	}
	age, err := strconv.Atoi(got.fields.Get("Age"))
	if hit && (err != nil || len(got.fields.Values("Age")) != 1) {
		wrong("from the store with Age %q", got.fields.Values("Age")) // §4: it MUST be there
	}
	if s.younger > 0 && (age < s.older || age >= s.younger) {
		wrong("Age is %q, want %d or more and less than %d",
			got.fields.Get("Age"), s.older, s.younger)
	}
}

// served is the answer that the client has to get in step n.
func (c *trial) served(n int, s step, asked bool) (out source) {
	if r, ok := s.last(); ok && asked && s.from == 0 && r.status != http.StatusNotModified {
		out = source{r.status, r.bytes(n)}
	} else {
		from := s.from
		if from == 0 {
			for k := range c.bodies {
				from = max(from, k)
			}
		}
		out = c.bodies[from]
		if from > 0 && out.status == 0 { // refreshed behind an answer
			r := c.steps[from-1].replies[0]
			out = source{r.status, r.bytes(from)}
		}
	}
	if s.status != 0 {
		out.status = s.status
	}
	return out
}
