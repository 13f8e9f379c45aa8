package policy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/policy/yamldoc"
)

// jobFields reads a job block; fields that it does not have keep their value in b.
func (l *loader) jobFields(n yamldoc.Node, b *JobPlan, defaults bool) {
	var after yamldoc.Node
	before := l.Count()
	fields := []yamldoc.Field{
		field("queue", func(n yamldoc.Node) { b.Queue = l.queue(n) }),
		field("max_retry", func(n yamldoc.Node) { b.MaxRetry = l.Integer(n, "max_retry", 0) }),
		field("retention", func(n yamldoc.Node) { b.Retention = l.Positive(n, "retention") }),
		field("timeout", func(n yamldoc.Node) { b.Timeout = l.Positive(n, "timeout") }),
		field("max_body", func(n yamldoc.Node) { b.MaxBody = l.Size(n, "max_body") }),
		field("max_result", func(n yamldoc.Node) { b.MaxResult = l.Size(n, "max_result") }),
		field("after", func(n yamldoc.Node) { after, b.After = n, l.Positive(n, "after") }),
		field("unique_for", func(n yamldoc.Node) { b.UniqueFor = l.Duration(n, "unique_for") }),
		field("idempotency_field", func(n yamldoc.Node) {
			b.IdempotencyField = l.fieldName(n, "idempotency_field")
		}),
		field("max_pending", func(n yamldoc.Node) {
			b.MaxPending = l.Integer(n, "max_pending", 0)
		}),
		field("max_pending_per_caller", func(n yamldoc.Node) {
			b.MaxPendingPerCaller = l.Integer(n, "max_pending_per_caller", 0)
		}),
		field("max_running", func(n yamldoc.Node) {
			b.MaxRunning = l.Integer(n, "max_running", 0)
		}),
		field("max_running_per_caller", func(n yamldoc.Node) {
			b.MaxRunningPerCaller = l.Integer(n, "max_running_per_caller", 0)
		}),
		field("over_body", func(n yamldoc.Node) {
			b.RefuseOver = l.Choice(n, "over_body", "pass", "refuse") == "refuse"
		}),
		field("access", func(n yamldoc.Node) {
			b.Link = l.Choice(n, "access", "caller", "link") == "link"
		}),
		field("retry_on", func(n yamldoc.Node) { b.RetryOn = l.errorStatuses(n, "retry_on") }),
		field("cors", func(n yamldoc.Node) { b.CORS = l.cors(n) }),
	}
	fields = append(fields, field("mode", func(n yamldoc.Node) {
		if b.Mode = JobMode(l.Choice(n, "mode", string(ModeAlways), string(ModePrefer),
			string(ModeAfter))); b.Mode == "" {
			b.Mode = "?" // a fault already
		}
	}))
	if !l.Mapping(n, "job", fields...) {
		return
	}
	switch {
	case !defaults && b.Mode == "" && !l.Meant("mode", before, n):
		l.Fault(n, "mode must be stated: always, prefer (if the client says Prefer: "+
			"respond-async) or after (if the API takes longer than after)")
	case !after.Absent() && b.Mode != ModeAfter && b.Mode != "?" && !(defaults && b.Mode == ""):
		l.Fault(after, "after is for mode: after, and this is mode: %s", b.Mode)
	case b.After > maxAfter:
		l.Fault(after, "after is at most %v: clients and load balancers wait no longer",
			brief(maxAfter))
	}
}

// cors reads the origins whose pages may read the sidecar's answers.
func (l *loader) cors(n yamldoc.Node) *CORS {
	c := &CORS{}
	before := l.Count()
	l.Mapping(n, "cors",
		field("origins", func(n yamldoc.Node) {
			for _, s := range l.Texts(n, "origins") {
				if s.Text != "*" && !isOrigin(s.Text) {
					l.Fault(s, "%q is no origin: write it as browsers do, like %s", s.Text,
						meantOrigin(s.Text))
				}
				c.Origins = append(c.Origins, s.Text)
			}
		}),
		field("credentials", func(n yamldoc.Node) { c.Credentials = l.Boolean(n, "credentials") }))
	switch {
	case len(c.Origins) == 0 && !l.Faulty(n) && !l.Meant("origins", before, n):
		l.Fault(n, "cors names no origins: origins: [https://game.example]")
	case c.Credentials && slices.Contains(c.Origins, "*"):
		l.Fault(n, "with credentials every site could read every visitor's jobs: name the origins")
	}
	return c
}

// meantOrigin is the origin that a text was probably meant to be, or an example.
func meantOrigin(s string) string {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	if u, err := url.Parse(strings.ToLower(s)); err == nil && isOrigin(u.Scheme+"://"+u.Host) &&
		strings.Contains(u.Host, ".") {
		return u.Scheme + "://" + u.Host
	}
	return "https://game.example"
}

// isOrigin reports whether s is an origin as browsers send it: scheme, host in lower case, and port
// if it is not the scheme's own.
func isOrigin(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" &&
		u.Scheme+"://"+u.Host == s && !strings.Contains(u.Host, "*") &&
		strings.ToLower(s) == s &&
		!(u.Scheme == "https" && u.Port() == "443" || u.Scheme == "http" && u.Port() == "80")
}

// fieldName reads the name of a request field, in canonical form.
func (l *loader) fieldName(n yamldoc.Node, what string) string {
	s, ok := l.Text(n, what)
	if ok && !httpfield.IsToken(s) {
		l.noFieldName(n, s)
	}
	return http.CanonicalHeaderKey(s)
}

// maxAfter bounds how long a client waits for the API's own answer.
const maxAfter = time.Minute

// errorStatuses reads a list of statuses of errors.
func (l *loader) errorStatuses(n yamldoc.Node, what string) (list []int) {
	for _, s := range l.List(n, what) {
		status := l.Integer(s, "a status of "+what, 400)
		if status > 599 {
			l.Fault(s, "%d is no status of an error: those are 400 to 599", status)
		}
		list = append(list, status)
	}
	return list
}

func defaultJob() JobPlan {
	return JobPlan{
		Queue: "default", MaxRetry: 3, Retention: 24 * time.Hour, Timeout: 2 * time.Minute,
		After: 2 * time.Second, MaxBody: 1 << 20, MaxResult: 8 << 20,
		IdempotencyField: "Idempotency-Key",
		MaxPending:       1000, MaxPendingPerCaller: 100,
	}
}
