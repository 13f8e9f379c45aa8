package policy

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/internal/nearest"
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
	for _, missing := range []struct {
		yamldoc.Node
		name, like string
	}{
		{name, "name", "cleanup"}, {cron, "cron", `"@every 24h"`},
		{request, "request", "{method: POST, path: /internal/cleanup}"},
	} {
		if missing.Absent() && !l.Meant(missing.name, before, n) {
			l.Fault(n, "a schedule has a %s, like %[1]s: %s", missing.name, missing.like)
		}
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
			l.Fault(zone, "%q is no time zone: name one like %s", text, meantZone(text))
			return Cron{}
		}
	}
	text, ok := l.Text(n, "cron")
	if !ok {
		return Cron{}
	}
	c, err := parseCron(text, location)
	switch {
	case err != nil:
		l.Fault(n, "%q is no cron: %v", text, err)
	case c.every > 0 && !zone.Absent():
		l.Smell(zone, "@every goes by the time that passes: timezone changes nothing")
	}
	return c
}

// meantZone is the time zone of a city, or an example.
func meantZone(text string) string {
	for _, area := range []string{"Europe", "America", "Asia", "Africa", "Australia", "Pacific"} {
		name := area + "/" + strings.ReplaceAll(text, " ", "_")
		if _, err := time.LoadLocation(name); err == nil && text != "" {
			return name
		}
	}
	return "Europe/Berlin"
}

func (l *loader) scheduledRequest(s *Schedule, n yamldoc.Node) {
	s.fields = http.Header{}
	var target yamldoc.Node
	before := l.Count()
	l.Mapping(n, "request",
		field("method", func(n yamldoc.Node) {
			text, ok := l.Text(n, "method")
			upper := strings.ToUpper(text)
			switch s.Method = text; {
			case !ok:
			case text != upper && slices.Contains(httpfield.Methods(), upper):
				l.Fault(n, "%q: methods are written in capitals: %s", text, upper)
			case !httpfield.IsToken(text) || text != upper:
				l.Fault(n, "%q is no method, like POST", text)
			}
		}),
		field("path", func(n yamldoc.Node) { target, s.Target = n, l.target(n) }),
		field("headers", func(n yamldoc.Node) { l.scheduledFields(s, n) }),
		field("body", func(n yamldoc.Node) { l.scheduledBody(s, n) }))
	if target.Absent() && !l.Meant("path", before, n) {
		l.Fault(n, "request has a path, like path: /internal/cleanup")
	}
}

// target reads a path that a pattern can match, and maybe a query.
func (l *loader) target(n yamldoc.Node) string {
	text, ok := l.Text(n, "path")
	if !ok {
		return ""
	}
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
			l.noFieldName(p, p.Key)
		case strings.ContainsAny(value, "\r\n\x00"):
			l.Fault(p, "the value of %s has a control character", p.Key)
		}
		if m := dollar.FindStringSubmatch(value); m != nil {
			l.Smell(p, "%s is sent as it is: a variable is written {env.%s}", m[0], m[1])
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
		meant := ""
		if near := nearest.To(name, l.options.Queues); near != "" {
			meant = ": did you mean " + near + "?"
		}
		l.Fault(n, "no worker serves the queue %q: JOBS_QUEUES has %s%s",
			name, strings.Join(l.options.Queues, ", "), meant)
	}
	return name
}
