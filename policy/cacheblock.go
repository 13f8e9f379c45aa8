package policy

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/internal/jsonbody"
	"sidecar/policy/yamldoc"
)

// A cacheBlock is a cache block as it is written, defaults filled in. Every field is part of the
// block's digest unless its tag says otherwise: entries under blocks that differ in it never meet.
type cacheBlock struct {
	scope       string
	ttl         time.Duration
	hasTTL      bool
	tags        []string
	maxBody     int64
	query       []string
	listed      bool // query is a list
	ignoreQuery []string
	vary        []string
	authorized  string
	setCookie   SetCookie
	strip       []string
	override    bool
	status      map[int]time.Duration
	ignoreReply bool // response_directives: ignore

	staleWhileRevalidate time.Duration
	staleIfError         time.Duration
	staleIfUnreachable   time.Duration
	hasUnreachable       bool

	// These decide how a stored response is used, and not which one is stored.
	memory           time.Duration `digest:"-"`
	ignoreDirectives bool          `digest:"-"`
	verify           *Verify       `digest:"-"`

	at blockPlaces `digest:"-"`
}

// blockPlaces are the places of the fields that are checked after the whole block is read.
type blockPlaces struct {
	scope, ttl, authorized, override, memory, directives yamldoc.Place
	tags                                                 []yamldoc.Place
}

func defaultCache() cacheBlock {
	return cacheBlock{
		maxBody: 1 << 20, authorized: "refuse",
		strip: []string{
			"X-Request-Id", "X-Correlation-Id", "X-RateLimit-*", "RateLimit*", "Server-Timing",
			"traceparent", "tracestate", "traceresponse",
		},
	}
}

// cacheFields reads a cache block; fields that it does not have keep their value in b.
func (l *loader) cacheFields(n yamldoc.Node, b *cacheBlock, defaults bool) {
	fields := []yamldoc.Field{
		field("scope", func(n yamldoc.Node) {
			b.at.scope = n.At()
			b.scope, _ = l.Text(n, "scope")
		}),
		field("ttl", func(n yamldoc.Node) {
			b.ttl, b.hasTTL, b.at.ttl = l.Positive(n, "ttl"), true, n.At()
		}),
		field("tags", func(n yamldoc.Node) { b.tags, b.at.tags = split(l.Texts(n, "tags")) }),
		field("max_body", func(n yamldoc.Node) { b.maxBody = l.Size(n, "max_body") }),
		field("query", func(n yamldoc.Node) { b.query, b.listed = l.query(n) }),
		field("ignore_query", func(n yamldoc.Node) {
			b.ignoreQuery = l.names(n, "ignore_query", isParameter)
		}),
		field("vary", func(n yamldoc.Node) { b.vary = l.fieldNames(n) }),
		field("authorized", func(n yamldoc.Node) {
			b.authorized, b.at.authorized = l.Choice(n, "authorized", "refuse",
				"verified", "public"), n.At()
		}),
		field("set_cookie", func(n yamldoc.Node) { b.setCookie = l.setCookie(n) }),
		field("strip", func(n yamldoc.Node) { b.strip = l.names(n, "strip", isFieldName) }),
		field("memory", func(n yamldoc.Node) { b.memory, b.at.memory = l.memory(n), n.At() }),
		field("override", func(n yamldoc.Node) {
			b.override, b.at.override = l.Boolean(n, "override"), n.At()
		}),
		field("status", func(n yamldoc.Node) { b.status = l.statuses(n) }),
		field("request_directives", func(n yamldoc.Node) {
			b.ignoreDirectives = l.Choice(n, "request_directives", "obey", "ignore") == "ignore"
		}),
		field("response_directives", func(n yamldoc.Node) {
			b.ignoreReply, b.at.directives = l.Choice(n, "response_directives", "obey",
				"ignore") == "ignore", n.At()
		}),
		field("stale_while_revalidate", func(n yamldoc.Node) {
			b.staleWhileRevalidate = l.Duration(n, "stale_while_revalidate")
		}),
		field("stale_if_error", func(n yamldoc.Node) {
			b.staleIfError = l.Duration(n, "stale_if_error")
		}),
		field("stale_if_unreachable", func(n yamldoc.Node) {
			b.staleIfUnreachable, b.hasUnreachable = l.Duration(n, "stale_if_unreachable"), true
		}),
		field("verify", func(n yamldoc.Node) { b.verify = l.verify(n) }),
	}
	before := l.Count()
	isMapping := l.Mapping(n, "cache", fields...)
	if isMapping && !defaults && b.scope == "" && !l.Meant("scope", before, n) &&
		(b.at.scope == yamldoc.Place{} || !l.Faulty(b.at.scope)) {
		l.Fault(n, "scope must be stated: private (an entry for each caller), shared, or a "+
			"verified value like %q", "{claim.org}")
	}
}

// split separates texts from their places.
func split(list []yamldoc.Located) (texts []string, places []yamldoc.Place) {
	for _, s := range list {
		texts, places = append(texts, s.Text), append(places, s.Place)
	}
	return texts, places
}

// query reads the parameters in the key; listed is false if they are all.
func (l *loader) query(n yamldoc.Node) (names []string, listed bool) {
	switch word := n.Raw(); strings.ToLower(word) {
	case "all":
		if word != "all" {
			l.Fault(n, "query is all, or a list of parameters: write all")
		}
		return nil, false
	case "none", "false", "off", "no":
		l.Fault(n, "query is all, or a list of parameters: [] for none of them")
		return nil, false
	}
	return l.names(n, "query", isParameter), true
}

func (l *loader) memory(n yamldoc.Node) time.Duration {
	switch n.Raw() {
	case "off", "false":
		return 0
	case "true", "on", "yes", "all":
		l.Fault(n, "memory is off, or how long the process may answer by itself, like 2s")
		return 0
	}
	if strings.HasSuffix(n.Raw(), "B") {
		l.Fault(n, "memory is off, or a time like 2s: MEMORY_CACHE_SIZE has the size")
		return 0
	}
	return l.Positive(n, "memory")
}

// verify reads which hits are compared with the backend; nil: none are.
func (l *loader) verify(n yamldoc.Node) *Verify {
	v := &Verify{}
	l.Mapping(n, "verify",
		field("share", func(n yamldoc.Node) { v.Share = l.share(n) }),
		field("ignore", func(n yamldoc.Node) { l.ignored(n, v) }))
	if v.Share == 0 {
		return nil
	}
	return v
}

// share reads a share like 1%.
func (l *loader) share(n yamldoc.Node) float64 {
	text := n.Raw()
	if text == "0" {
		return 0
	}
	share, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !isShare.MatchString(text) {
		l.Fault(n, "share is a share of the hits, from 0%% to 100%%, like 1%%%s", percent(text))
		return 0
	}
	return share / 100
}

// percent is the share that a text was probably meant to be, as the end of a message.
func percent(text string) string {
	number, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(text, "%")), 64)
	switch {
	case err != nil, number <= 0, number > 100:
		return ""
	case number < 1 && !strings.HasSuffix(text, "%"):
		number *= 100
	}
	return ": write " + strconv.FormatFloat(number, 'f', -1, 64) + "%"
}

// isShare is a share from 0 to 100 %.
var isShare = regexp.MustCompile(`^([0-9]{1,2}(\.[0-9]{1,6})?|100)%$`)

// ignored reads the parts of a response that are not compared.
func (l *loader) ignored(n yamldoc.Node, v *Verify) {
	for _, s := range l.Texts(n, "ignore") {
		if name, isField := strings.CutPrefix(s.Text, "header:"); isField {
			if !httpfield.IsToken(name) {
				l.noFieldName(s, name)
				continue
			}
			v.Fields = append(v.Fields, http.CanonicalHeaderKey(name))
			continue
		}
		if strings.HasPrefix(s.Text, "$") || strings.ContainsAny(s.Text, "[]") {
			l.Fault(s, "%q is JSONPath: a path is like items.#.updated_at", s.Text)
			continue
		}
		p, err := jsonbody.ParsePattern(s.Text)
		if err != nil {
			l.Fault(s, "%q is no path into JSON, like items.#.updated_at: %v", s.Text, err)
			continue
		}
		v.Paths = append(v.Paths, p)
	}
}

// statuses reads lifetimes by status.
func (l *loader) statuses(n yamldoc.Node) map[int]time.Duration {
	pairs, _ := l.Pairs(n, "status")
	out := make(map[int]time.Duration, len(pairs))
	for _, p := range pairs {
		status, err := strconv.Atoi(p.Key)
		if err != nil || status < 200 || status > 599 || len(p.Key) != 3 {
			l.Fault(p, "%q is no status of a final answer, like 404: each has its own lifetime",
				p.Key)
			continue
		}
		out[status] = l.Duration(p.Value(), "the lifetime of a status")
	}
	return out
}

// fieldNames reads the names of request fields.
func (l *loader) fieldNames(n yamldoc.Node) []string {
	var out []string
	for _, s := range l.Texts(n, "vary") {
		switch {
		case s.Text == "*":
			l.Fault(s, `"*" would mean that no answer fits another request: name the fields`)
		case !httpfield.IsToken(s.Text):
			l.noFieldName(s, s.Text)
		default:
			out = append(out, http.CanonicalHeaderKey(s.Text))
		}
	}
	return out
}

func (l *loader) setCookie(n yamldoc.Node) SetCookie {
	const choice = "set_cookie is refuse, store, or {drop: [csrf_token]}"
	switch word := n.Raw(); {
	case n.IsMapping():
	case word == "refuse", word == "store":
		return SetCookie{Store: word == "store"}
	default:
		l.Fault(n, choice)
		return SetCookie{}
	}
	var rule SetCookie
	before := l.Count()
	l.Mapping(n, "set_cookie",
		field("drop", func(n yamldoc.Node) { rule.Drop = l.names(n, "drop", isParameter) }))
	if len(rule.Drop) == 0 && !l.FaultySince(before) {
		l.Fault(n, choice)
	}
	return rule
}
