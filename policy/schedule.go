package policy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/policy/yamldoc"
)

// A Schedule is a recurring request. It is immutable.
type Schedule struct {
	Name    string // the metrics' job_type
	Cron    Cron
	CatchUp bool // a tick that nobody could take is run once, late
	Job     *JobPlan
	Method  string
	Target  string // path and query

	fields http.Header // with templates
	body   any         // string: as it is; nil: none; else JSON. With templates
	env    func(string) (string, bool)
}

// scheduleHole is a placeholder in a field or a body of a schedule.
var scheduleHole = regexp.MustCompile(
	`\{(env\.[A-Za-z_][A-Za-z0-9_]*|now(?:[+-][0-9][0-9a-zµ.]*)?)\}`)

// Fields are the request's fields for a tick.
func (s *Schedule) Fields(tick time.Time) http.Header {
	out := http.Header{}
	for name, values := range s.fields {
		for _, v := range values {
			out[name] = append(out[name], s.fill(v, tick))
		}
	}
	return out
}

// Body is the request's body for a tick.
func (s *Schedule) Body(tick time.Time) []byte {
	switch body := s.body.(type) {
	case nil:
		return nil
	case string:
		return []byte(s.fill(body, tick))
	}
	b, _ := json.Marshal(s.fillAll(s.body, tick)) // it came from YAML
	return b
}

func (s *Schedule) fillAll(v any, tick time.Time) any {
	switch v := v.(type) {
	case string:
		return s.fill(v, tick)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = s.fillAll(v[i], tick)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key := range v {
			out[key] = s.fillAll(v[key], tick)
		}
		return out
	}
	return v
}

func (s *Schedule) fill(text string, tick time.Time) string {
	return scheduleHole.ReplaceAllStringFunc(text, func(hole string) string {
		hole = hole[1 : len(hole)-1]
		if name, ok := strings.CutPrefix(hole, "env."); ok {
			if s.env == nil {
				return ""
			}
			value, _ := s.env(name)
			return value
		}
		d, _ := time.ParseDuration(strings.TrimPrefix(hole, "now")) // "" is 0
		return tick.Add(d).UTC().Format(time.RFC3339)
	})
}

// schedules reads the recurring requests.
func (l *loader) schedules(n yamldoc.Node) {
	if n.IsEmptyList() {
		return
	}
	for _, s := range l.List(n, "schedules") {
		l.schedule(s)
	}
}

func (l *loader) schedule(n yamldoc.Node) {
	job := l.job
	s := &Schedule{Job: &job, Method: http.MethodPost, env: l.options.Env}
	job.Mode, job.MaxPending, job.MaxPendingPerCaller = ModeAlways, 0, 0
	var name, cron, zone, request yamldoc.Node
	before := l.Count()
	if !l.Mapping(n, "a schedule",
		field("name", func(n yamldoc.Node) { name, s.Name = n, l.routeName(n) }),
		field("cron", yamldoc.Keep(&cron)), field("timezone", yamldoc.Keep(&zone)),
		field("catch_up", func(n yamldoc.Node) { s.CatchUp = l.Boolean(n, "catch_up") }),
		field("queue", func(n yamldoc.Node) { job.Queue = l.queue(n) }),
		field("request", yamldoc.Keep(&request))) {
		return
	}
	switch {
	case name.Absent():
		l.Fault(n, "a schedule has a name, like name: cleanup")
	case cron.Absent():
		l.Fault(n, "a schedule has a cron, like cron: \"@every 24h\"")
	case request.Absent():
		l.Fault(n, "a schedule has a request, like request: {method: POST, path: /internal/cleanup}")
	}
	if l.nameTaken(s.Name) {
		l.Fault(name, "the name %q is taken: give this schedule another one", s.Name)
	}
	if !cron.Absent() {
		s.Cron = l.cron(cron, zone)
	}
	if !request.Absent() {
		l.scheduledRequest(s, request)
	}
	if l.FaultySince(before) {
		return
	}
	l.scheduled = append(l.scheduled, s)
	if denied := l.denies(s.Method, s.Target); !denied && s.fields.Get("Authorization") == "" {
		l.Smell(n, "%q sends no credentials to %s, and clients reach that too: deny the path to "+
			"them, or send a token", s.Name, s.Target)
	}
}

func (l *loader) nameTaken(name string) bool {
	return name != "" &&
		(slices.ContainsFunc(l.routes, func(r *draft) bool { return r.name == name }) ||
			slices.ContainsFunc(l.scheduled, func(s *Schedule) bool { return s.Name == name }))
}

func (l *loader) cron(n, zone yamldoc.Node) Cron {
	location := time.UTC
	if !zone.Absent() {
		text, ok := l.Text(zone, "timezone")
		if !ok {
			return Cron{}
		}
		var err error
		if location, err = time.LoadLocation(text); err != nil || text == "" || text == "Local" {
			l.Fault(zone, "%q is no time zone: name one like Europe/Berlin", text)
			return Cron{}
		}
	}
	text, ok := l.Text(n, "cron")
	if !ok {
		return Cron{}
	}
	c, err := parseCron(text, location)
	if err != nil {
		l.Fault(n, "%q is no cron: %v", text, err)
	}
	return c
}

func (l *loader) scheduledRequest(s *Schedule, n yamldoc.Node) {
	s.fields = http.Header{}
	var target yamldoc.Node
	l.Mapping(n, "request",
		field("method", func(n yamldoc.Node) {
			if s.Method = n.Raw(); !httpfield.IsToken(s.Method) ||
				strings.ToUpper(s.Method) != s.Method {
				l.Fault(n, "%q is no method, like POST", s.Method)
			}
		}),
		field("path", func(n yamldoc.Node) { target, s.Target = n, l.target(n) }),
		field("headers", func(n yamldoc.Node) { l.scheduledFields(s, n) }),
		field("body", func(n yamldoc.Node) { l.scheduledBody(s, n) }))
	if target.Absent() {
		l.Fault(n, "request has a path, like path: /internal/cleanup")
	}
}

// target reads a path that a pattern can match, and maybe a query.
func (l *loader) target(n yamldoc.Node) string {
	text, _ := l.Text(n, "path")
	p, _, _ := strings.Cut(text, "?")
	u, err := url.ParseRequestURI(text)
	if err != nil || u.Host != "" || !strings.HasPrefix(p, "/") ||
		strings.ContainsAny(text, "#{} \\") ||
		path.Clean(p) != strings.TrimSuffix(p, "/") && p != "/" {
		l.Fault(n, "%q is no path that the API could have: it begins with / and is written out, "+
			"like /internal/cleanup", text)
	}
	return text
}

func (l *loader) scheduledFields(s *Schedule, n yamldoc.Node) {
	pairs, _ := l.Pairs(n, "headers")
	for _, p := range pairs {
		value := p.Value().Raw()
		switch {
		case !httpfield.IsToken(p.Key):
			l.Fault(p, "%q is no field name", p.Key)
		case strings.ContainsAny(value, "\r\n\x00"):
			l.Fault(p, "the value of %s has a control character", p.Key)
		}
		l.holes(p, value)
		s.fields[http.CanonicalHeaderKey(p.Key)] = []string{value}
	}
}

func (l *loader) scheduledBody(s *Schedule, n yamldoc.Node) {
	if n.IsText() {
		s.body = n.Raw()
		l.holes(n, n.Raw())
		return
	}
	value, err := l.Value(n)
	if err != nil {
		l.Fault(n, "body is text, or what can be JSON: %v", err)
		return
	}
	s.body = value
	if len(s.fields["Content-Type"]) == 0 {
		s.fields["Content-Type"] = []string{"application/json"}
	}
	l.holesIn(n, value)
}

func (l *loader) holesIn(at yamldoc.Placed, v any) {
	switch v := v.(type) {
	case string:
		l.holes(at, v)
	case []any:
		for _, e := range v {
			l.holesIn(at, e)
		}
	case map[string]any:
		for _, e := range v {
			l.holesIn(at, e)
		}
	}
}

// holes checks the placeholders of a text.
func (l *loader) holes(at yamldoc.Placed, text string) {
	for _, m := range scheduleHole.FindAllStringSubmatch(text, -1) {
		if name, ok := strings.CutPrefix(m[1], "env."); ok {
			if l.options.Env == nil {
				continue
			}
			if _, ok := l.options.Env(name); !ok {
				l.Fault(at, "the variable %s is not set", name)
			}
			continue
		}
		if d := strings.TrimPrefix(m[1], "now"); d != "" {
			if _, err := time.ParseDuration(d); err != nil {
				l.Fault(at, "{%s}: %q is no time like -168h", m[1], d)
			}
		}
	}
	if rest := scheduleHole.ReplaceAllString(text, ""); strings.ContainsAny(rest, "{}") {
		l.Fault(at, "a schedule has the placeholders {env.NAME}, {now}, {now-168h} and {now+1h}, "+
			"and no other braces")
	}
}

// denies reports whether a route that is shut to clients matches.
func (l *loader) denies(method, target string) bool {
	p, _, _ := strings.Cut(target, "?")
	m, ok := l.matcher.Find(method, p)
	return ok && m.Target.kind == Deny
}

// queue reads the name of a queue.
func (l *loader) queue(n yamldoc.Node) string {
	name, ok := l.Text(n, "queue")
	if ok && len(l.options.Queues) > 0 && !slices.Contains(l.options.Queues, name) {
		l.Fault(n, "no worker serves the queue %q: JOBS_QUEUES has %s",
			name, strings.Join(l.options.Queues, ", "))
	}
	return name
}
