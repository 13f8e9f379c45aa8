package e2e

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
	"testing"
	"time"

	"sidecar/test/origin"
)

// The files rfc_*_test.go are the caching RFCs as tables. A case is named by its section and is a list of steps, each one request of a
// client, with what the origin answers if it is asked and what the client has to get:
//
//	{"§4.3.1 a stale answer is validated by its ETag", shared, steps{
//		get().forwarded(ok("Cache-Control: max-age=1", `ETag: "a"`)),
//		get().after(second).forwarded(notModified(`ETag: "a"`).to(`If-None-Match: "a"`)),
//	}},
//
// A step that does not say forwarded must not reach the origin. Where an RFC leaves a choice and docs/http-caching.md makes none, either allows
// both. All cases of a table run at once against one sidecar, each on a path of its own.

// A route is a policy under test: the prefix that its cases have and the request fields that all of them send.
type route struct {
	prefix string
	fields []string
}

// The routes of rfcPolicies.
var (
	shared  = route{prefix: "/shared"}                                                    // the shared cache of RFC 9111, with no word of the policy's own
	private = route{prefix: "/private", fields: []string{"Authorization: Bearer reader"}} // the private one
	anyone  = route{prefix: "/private"}                                                   // the private route without credentials
	lasting = route{prefix: "/lasting"}                                                   // a lifetime from the policy where the answer states none
)

const rfcPolicies = `version: 1
routes:
  - {match: GET /shared/, cache: {scope: shared, set_cookie: store}}
  - {match: GET /private/, cache: {scope: private, set_cookie: store}}
  - {match: GET /lasting/, cache: {scope: shared, ttl: 1h}}
`

// second is the lifetime of what has to be stale soon.
const second = time.Second

// past is how long after the end of a lifetime an answer is certainly stale.
const past = 100 * time.Millisecond

// A promise is one case.
type promise struct {
	name  string
	on    route
	steps steps
}

type steps []step

// A step is one request and what comes of it.
type step struct {
	method, suffix, body string
	fields               []string
	wait                 time.Duration // since the last answer of the origin
	replies              []reply       // to the requests that the origin has to get, in this order
	optional             bool          // the origin may be asked and need not
	behind               bool          // it is asked after the client has its answer
	count                int           // how often the client asks; 0: once
	tries                bool          // until it holds: for what another request brings about
	hasty                bool          // the next step follows at once, whether or not what was fetched is stored yet

	status   int      // 0: that of what is served
	gets     []string // fields of the answer: "Name: value", or "Name:" for one that is not there
	oneOf    []string // the bodies of which one has to come
	from     int      // the step, from 1, whose body is served; 0: that of the last whole answer
	broken   bool     // the answer has to end too early
	younger  int      // bound of Age; 0: none
	older    int      // at least so much Age
	says     []string // what Cache-Status has
	trailers []string
}

func request(method string, fields ...string) step { return step{method: method, fields: fields} }
func get(fields ...string) step                    { return request(http.MethodGet, fields...) }
func head(fields ...string) step                   { return request(http.MethodHead, fields...) }
func post(fields ...string) step                   { return request(http.MethodPost, fields...) }

// at asks for what stands at the case's path with this appended.
func (s step) at(suffix string) step { s.suffix = suffix; return s }

// after waits until a lifetime that began with the origin's last answer is over.
func (s step) after(lifetime time.Duration) step { s.wait = lifetime + past; return s }

// forwarded says that the origin is asked once for each reply.
func (s step) forwarded(replies ...reply) step { s.replies = replies; return s }

// either says that the origin may be asked, and what it answers then.
func (s step) either(r reply) step { s.replies, s.optional = []reply{r}, true; return s }

// refreshed says that the client is answered first, and the origin asked once behind that answer.
func (s step) refreshed(r reply) step { s.replies, s.behind = []reply{r}, true; return s }

// perhaps says that what is forwarded need not be.
func (s step) perhaps() step { s.optional = true; return s }

// times has the client ask so often before the origin answers anything behind its back.
func (s step) times(n int) step { s.count = n; return s }

// sending gives the request a body.
func (s step) sending(body string) step { s.body = body; return s }

// fails says that the client gets an error of the sidecar's own.
func (s step) fails() step { s.status = gatewayError; return s }

// soon repeats the request until all is as it should be.
func (s step) soon() step { s.tries = true; return s }

// thenAtOnce says that what was fetched has to be there for a request that follows at once.
func (s step) thenAtOnce() step { s.hasty = true; return s }

func (s step) is(status int) step             { s.status = status; return s }
func (s step) with(fields ...string) step     { s.gets = append(slices.Clone(s.gets), fields...); return s }
func (s step) saying(parts ...string) step    { s.says = parts; return s }
func (s step) bodyOf(n int) step              { s.from = n; return s }
func (s step) content(bodies ...string) step  { s.oneOf = bodies; return s }
func (s step) cut() step                      { s.broken = true; return s }
func (s step) aged(least, below int) step     { s.older, s.younger = least, below; return s }
func (s step) trailing(fields ...string) step { s.trailers = fields; return s }
func (s step) without(names ...string) step {
	for _, name := range names {
		s = s.with(name + ":")
	}
	return s
}

// gatewayError stands for 502, 503 and 504, of which the RFCs leave the choice.
const gatewayError = 599 + 1

// An ending is how the origin breaks off.
type ending int

const (
	whole ending = iota
	silent
	inHead
	inBody
)

// A reply is what the origin answers. Date and Content-Length are set unless the fields name them; its body, unless one is given, tells the case's step.
type reply struct {
	status  int
	fields  []string
	content string
	empty   bool
	chunked bool // with what trailers says
	close   bool // delimited by the end of the connection
	trailer []string
	before  string // sent first, as it is
	ends    ending
	asked   []string // fields of the request that gets this reply: "Name: value", or "Name:" for one that must not be there
}

func answers(status int, fields ...string) reply { return reply{status: status, fields: fields} }
func ok(fields ...string) reply                  { return answers(http.StatusOK, fields...) }
func notModified(fields ...string) reply         { return answers(http.StatusNotModified, fields...) }

// hangUp is an origin that closes the connection instead of answering.
func hangUp(where ending) reply {
	return reply{status: http.StatusOK, fields: []string{"Cache-Control: max-age=60"}, ends: where}
}

func (r reply) to(fields ...string) reply {
	r.asked = append(slices.Clone(r.asked), fields...)
	return r
}
func (r reply) body(content string) reply        { r.content, r.empty = content, content == ""; return r }
func (r reply) inChunks(trailer ...string) reply { r.chunked, r.trailer = true, trailer; return r }
func (r reply) untilClose() reply                { r.close = true; return r }
func (r reply) hint(raw string) reply            { r.before = raw; return r }
func (r reply) ending(where ending) reply        { r.ends = where; return r }

// toPlain says that the request has no condition.
func (r reply) toPlain() reply {
	return r.to("If-None-Match:", "If-Modified-Since:", "If-Match:", "If-Unmodified-Since:", "If-Range:")
}

// bodyless reports whether an answer of this status ends with its head.
func bodyless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// A trial is a case under way.
type trial struct {
	promise
	base, path string
	places     chan struct{} // held by each request under way
	began      time.Time

	mu     sync.Mutex
	script []reply // that the step under way has still to use
	step   int
	open   chan struct{} // closed when the origin may answer
	seen   []string      // what was wrong with requests
	asked  int           // requests in this step
	done   time.Time     // when the origin answered last
	bodies map[int]source
}

// A source is what can be served later.
type source struct {
	status int
	body   string
}

var clock = regexp.MustCompile(`\{(now|start)([+-]\d+)?\}`)

// fill fills {now}, {now-60}, {start+60} with dates, {base} with the sidecar's URL, {host} with its host and port, and {path} with the case's path. start is when the case began.
func (c *trial) fill(text string) string {
	text = clock.ReplaceAllStringFunc(text, func(m string) string {
		parts := clock.FindStringSubmatch(m)
		at := time.Now()
		if parts[1] == "start" {
			at = c.began
		}
		n, _ := strconv.Atoi(parts[2])
		return at.Add(time.Duration(n) * time.Second).UTC().Format(http.TimeFormat)
	})
	return strings.NewReplacer("{base}", c.base, "{host}", strings.TrimPrefix(c.base, "http://"), "{path}", c.path).Replace(text)
}

// serve answers one request as the script has it. A reply that breaks off stays, for a client may try again.
func (c *trial) serve(conn *origin.Conn, q *origin.Request) {
	c.mu.Lock()
	c.asked++
	r := answers(599, "Cache-Control: no-store", "X-Unscripted: 1")
	if len(c.script) == 0 {
		c.seen = append(c.seen, fmt.Sprintf("step %d: the origin was asked %s %s and should not have been, with %q", c.step, q.Method, q.Target, q.Fields))
	} else {
		r = c.script[0]
		if r.ends == whole {
			c.script = c.script[1:]
		}
		for _, want := range r.asked {
			if fault := c.lacks(q.Values, want); fault != "" {
				c.seen = append(c.seen, fmt.Sprintf("step %d: the origin's request has %s", c.step, fault))
			}
		}
	}
	n, open := c.step, c.open
	c.mu.Unlock()
	<-open
	text := c.write(r, n, q.Method)
	_, _ = conn.WriteString(text)
	if r.ends != whole || r.close {
		_ = conn.Close()
	}
	c.mu.Lock()
	c.done = time.Now()
	c.mu.Unlock()
}

// write is a reply as bytes.
func (c *trial) write(r reply, n int, method string) string {
	body := r.bytes(n)
	if r.ends == silent {
		return ""
	}
	text := r.before + fmt.Sprintf("HTTP/1.1 %d Scripted\r\n", r.status)
	dated, sized := false, bodyless(r.status)
	for _, f := range r.fields {
		name, _, _ := strings.Cut(f, ":")
		dated = dated || strings.EqualFold(name, "Date")
		sized = sized || strings.EqualFold(name, "Content-Length")
		if f != "Date:" {
			text += c.fill(f) + "\r\n"
		}
	}
	if !dated {
		text += c.fill("Date: {now}\r\n")
	}
	switch {
	case r.chunked:
		text += "Transfer-Encoding: chunked\r\n"
		if r.trailer != nil {
			text += "Trailer: X-Trailer\r\n"
		}
		body = fmt.Sprintf("%x\r\n%s\r\n", len(body), body)
	case r.close:
		text += "Connection: close\r\n"
	case !sized:
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	if r.ends == inHead {
		return text
	}
	text += "\r\n"
	if bodyless(r.status) || method == http.MethodHead {
		return text
	}
	if r.ends == inBody && !r.chunked {
		return text + body[:len(body)/2]
	}
	text += body
	if r.chunked && r.ends == whole {
		text += "0\r\n" + strings.Join(append(r.trailer, "", ""), "\r\n")
	}
	return text
}

// bytes is the body of a reply in step n.
func (r reply) bytes(n int) string {
	if r.empty || bodyless(r.status) || r.status == http.StatusResetContent {
		return ""
	}
	if r.content != "" {
		return r.content
	}
	return fmt.Sprintf("the answer to step %d", n)
}

// lacks says how the field that want names differs from it. Entity tags are a set; a value that ends in … is the beginning of one.
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

// A received is what a client got.
type received struct {
	answer
	trailers http.Header
	early    error // that the body ended with
}

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
	c.places <- struct{}{}
	defer func() { <-c.places }()
	resp, err := client.Do(req)
	if err != nil {
		return received{}, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return received{answer{resp.StatusCode, resp.Header, content}, resp.Trailer, err}, nil
}

// rfcPatience bounds a step, soonPatience one in which the origin has no say when the client is answered.
const (
	rfcPatience  = 10 * time.Second
	soonPatience = 3 * time.Second
)

// run goes through the steps and returns what is wrong.
func (c *trial) run(ctx context.Context) (faults []string) {
	c.began = time.Now()
	for i, s := range c.steps {
		if faults = c.take(ctx, i+1, s); len(faults) > 0 {
			return faults
		}
	}
	return nil
}

// take does step n.
func (c *trial) take(ctx context.Context, n int, s step) (faults []string) {
	patience := rfcPatience
	if s.tries || s.behind {
		patience = soonPatience
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	open := make(chan struct{})
	c.mu.Lock()
	c.step, c.script, c.asked, c.open = n, s.replies, 0, open
	wait := time.Until(c.done.Add(s.wait))
	c.mu.Unlock()
	if s.wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	if !s.behind {
		close(open)
	}
	for i := 0; ; i++ {
		got, err := c.ask(ctx, s)
		if err != nil && ctx.Err() != nil && len(faults) > 0 {
			break // what was wrong before says more
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
	} else if len(faults) == 0 && !s.hasty {
		c.awaitFill(ctx, s)
	}
	return append(faults, c.requests(ctx, n, s)...)
}

// fillTime bounds how long an answer's way into the store is waited for.
const fillTime = 300 * time.Millisecond

// awaitFill waits until what step s brought is in the store, where it is fresh there: until a request that must not be forwarded is answered. That
// it should be there at once is a case of its own.
func (c *trial) awaitFill(ctx context.Context, s step) {
	if s.method != http.MethodGet || s.body != "" || len(s.replies) == 0 || c.left() > 0 || s.from > 0 || s.status >= 500 {
		return
	}
	s.fields = slices.DeleteFunc(slices.Clone(s.fields), func(f string) bool {
		name, _, _ := strings.Cut(f, ":")
		return slices.Contains([]string{"Cache-Control", "Pragma", "Range"}, name) || strings.HasPrefix(name, "If-")
	})
	s.fields = append(s.fields, "Cache-Control: only-if-cached")
	for deadline := time.Now().Add(fillTime); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
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

// requests says what is wrong with those that the origin got in step n, and waits for those that are to come behind the answer.
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
		broken := len(s.replies) > 0 && s.replies[len(s.replies)-1].ends != whole
		if left > 0 && !s.optional && (!broken || asked == 0) {
			faults = append(faults, fmt.Sprintf("step %d: the origin was asked %d times, want %d", n, asked, len(s.replies)))
		}
		return faults
	}
}

// check compares what a client got in step n.
func (c *trial) check(n int, s step, got received) (faults []string) {
	wrong := func(format string, args ...any) {
		faults = append(faults, fmt.Sprintf("step %d: %s %s: ", n, s.method, c.path+s.suffix)+fmt.Sprintf(format, args...))
	}
	c.mu.Lock()
	asked := c.asked > 0 && !s.behind
	c.mu.Unlock()
	served := c.served(n, s, asked)
	if got.status != served.status && (served.status != gatewayError || got.status < 502 || got.status > 504) {
		wrong("%d %q %q, want %d", got.status, got.body, got.cache(), served.status)
	}
	if (got.early != nil) != s.broken {
		wrong("the body ends with %v", got.early)
	}
	// A body that the sidecar makes itself is not looked at.
	made := s.status >= 500 && s.oneOf == nil && s.from == 0 && (!asked || len(s.replies) > 0 && s.replies[0].ends != whole)
	if s.method != http.MethodHead && !bodyless(got.status) && !s.broken && !made {
		want := s.oneOf
		if want == nil {
			want = []string{served.body}
		}
		if !slices.Contains(want, string(got.body)) {
			wrong("%q from %q, want %q", got.body, got.cache(), want)
		}
	}
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
	members := strings.Split(strings.Join(got.fields.Values("Cache-Status"), ", "), ", ")
	last := members[len(members)-1]
	if !strings.HasPrefix(last, "sidecar") || !containsAll(last, s.says...) {
		wrong("Cache-Status is %q, want %q", last, s.says)
	}
	hit := strings.HasPrefix(last, "sidecar; hit")
	if hit && asked && len(s.replies) > 0 && s.replies[0].status < 500 && s.replies[0].ends == whole || !hit && !asked && got.status < 500 {
		wrong("Cache-Status is %q, and the origin was asked: %t", last, asked)
	}
	age, err := strconv.Atoi(got.fields.Get("Age"))
	if hit && (err != nil || len(got.fields.Values("Age")) != 1) {
		wrong("from the store with Age %q", got.fields.Values("Age")) // §4: it MUST be there
	}
	if s.younger > 0 && (age < s.older || age >= s.younger) {
		wrong("Age is %q, want %d or more and less than %d", got.fields.Get("Age"), s.older, s.younger)
	}
	if s.method == http.MethodGet && asked && len(s.replies) > 0 {
		if r := s.replies[len(s.replies)-1]; r.ends == whole && r.status != 304 {
			c.bodies[n] = source{r.status, r.bytes(n)}
		}
	}
	return faults
}

// served is what the client has to get in step n.
func (c *trial) served(n int, s step, asked bool) (out source) {
	if asked && s.from == 0 && len(s.replies) > 0 && s.replies[len(s.replies)-1].status != 304 {
		r := s.replies[len(s.replies)-1]
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

// prepare starts an origin and a sidecar with these policies, and returns the cases ready to run against them.
func prepare(t *testing.T, policies string, promises []promise) []*trial {
	t.Helper()
	trials, names, places := make([]*trial, len(promises)), map[string]bool{}, make(chan struct{}, atOnce)
	for i, p := range promises {
		if names[p.name] {
			t.Fatalf("two cases are named %q", p.name)
		}
		names[p.name] = true
		trials[i] = &trial{promise: p, path: fmt.Sprintf("%s/%d", p.on.prefix, i), places: places, bodies: map[int]source{}}
	}
	o := origin.Start(t, func(conn *origin.Conn, q *origin.Request) {
		path, _, _ := strings.Cut(q.Target, "?")
		parts := strings.Split(path, "/")
		n, err := strconv.Atoi(parts[min(2, len(parts)-1)])
		if err != nil || n >= len(trials) {
			_, _ = conn.WriteString("HTTP/1.1 404 No Case\r\nContent-Length: 0\r\n\r\n")
			return
		}
		trials[n].serve(conn, q)
	})
	// A busy machine is not what is tested here.
	s := startBefore(t, o.URL(), policiesFile(t, policies), "REDIS_TIMEOUT=5s", "REDIS_STORE_TIMEOUT=10s")
	for _, c := range trials {
		c.base = s.url
	}
	return trials
}

// atOnce bounds how many requests are under way. Of cases that wait there are as many as there are: that is not for the number of processors to say.
const atOnce = 8

// keep runs the cases of a table, all at once, before one sidecar with these policies.
func keep(t *testing.T, policies string, promises ...promise) {
	t.Helper()
	for _, c := range prepare(t, policies, promises) {
		t.Run(c.name, func(t *testing.T) {
			result := make(chan []string, 1)
			go func() { // ends with its steps, each of which is bounded
				result <- c.run(context.Background())
			}()
			t.Parallel()
			for _, fault := range <-result {
				t.Error(fault)
			}
		})
	}
}

// keepInTurn is keep for cases that would hinder each other, one after another.
func keepInTurn(t *testing.T, policies string, promises ...promise) {
	t.Helper()
	for _, c := range prepare(t, policies, promises) {
		t.Run(c.name, func(t *testing.T) {
			for _, fault := range c.run(t.Context()) {
				t.Error(fault)
			}
		})
	}
}

// A case that is not kept has to fail, or the tables prove nothing.
func TestABrokenPromiseIsNoticed(t *testing.T) {
	stored := get().forwarded(ok("Cache-Control: max-age=60", "X-A: 1"))
	var broken []promise
	for name, s := range map[string]steps{
		"asked, and should not be":        {get().forwarded(ok()), get()},
		"not asked, and should be":        {stored, get().forwarded(ok())},
		"another status":                  {get().forwarded(ok()).is(404)},
		"another body":                    {stored, get().content("another")},
		"another field":                   {stored, get().with("X-A: 2")},
		"a field that should not be":      {stored, get().without("X-A")},
		"a request without a field":       {get().forwarded(ok().to("X-B: 1"))},
		"a request with a field":          {get("X-B: 1").forwarded(ok().to("X-B:"))},
		"a whole body":                    {get().forwarded(ok()).cut()},
		"a cut body":                      {get().forwarded(ok().ending(inBody))},
		"too young":                       {stored, get().aged(10, 20)},
		"Cache-Status without what it is": {stored, get().saying("fwd=stale")},
		"asked once and not twice":        {get().forwarded(ok(), ok())},
		"no trailer":                      {get().forwarded(ok()).trailing("X-Trailer: 1")},
	} {
		broken = append(broken, promise{name, shared, s})
	}
	for _, c := range prepare(t, rfcPolicies, broken) {
		if faults := c.run(t.Context()); len(faults) == 0 {
			t.Errorf("nothing was found wrong with %q", c.name)
		}
	}
}
