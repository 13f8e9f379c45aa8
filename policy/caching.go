package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"sidecar/cachekeys"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
)

// A cacheBlock is a cache block as it is written, defaults filled in.
type cacheBlock struct {
	scope       string
	scopeAt     ast.Node
	ttl         time.Duration
	hasTTL      bool
	tags        []located
	maxBody     int64
	query       []string
	listed      bool // query is a list
	ignoreQuery []string
	vary        []string
	authorized  string
	setCookie   SetCookie
	strip       []string
	memory      time.Duration
	override    bool
	status      map[int]time.Duration

	ignoreDirectives bool

	staleWhileRevalidate, staleIfError, staleIfUnreachable time.Duration
	hasUnreachable                                         bool

	memoryAt     ast.Node
	overrideAt   ast.Node
	authorizedAt ast.Node
	ttlAt        ast.Node
}

func defaultCache() cacheBlock {
	return cacheBlock{
		maxBody: 1 << 20, authorized: "refuse",
		strip: []string{
			"X-Request-Id", "X-Correlation-Id", "X-RateLimit-*", "RateLimit*", "Server-Timing", "traceparent", "tracestate", "traceresponse",
		},
	}
}

// cacheFields reads a cache block over what b holds.
func (l *loader) cacheFields(n ast.Node, b *cacheBlock, defaults bool) {
	fields := []field{
		{"scope", func(n ast.Node) { b.scopeAt = n; b.scope, _ = l.text(n, "scope") }},
		{"ttl", func(n ast.Node) { b.ttl, b.hasTTL, b.ttlAt = l.positive(n, "ttl"), true, n }},
		{"tags", func(n ast.Node) { b.tags = l.texts(n, "tags") }},
		{"max_body", func(n ast.Node) { b.maxBody = l.size(n, "max_body") }},
		{"query", func(n ast.Node) {
			if s, ok := n.(*ast.StringNode); ok && s.Value == "all" {
				b.query, b.listed = nil, false
				return
			}
			b.query, b.listed = plain(l.texts(n, "query")), true
		}},
		{"ignore_query", func(n ast.Node) { b.ignoreQuery = plain(l.texts(n, "ignore_query")) }},
		{"vary", func(n ast.Node) { b.vary = l.fieldNames(n) }},
		{"authorized", func(n ast.Node) {
			b.authorized, b.authorizedAt = l.choice(n, "authorized", "refuse", "verified", "public"), n
		}},
		{"set_cookie", func(n ast.Node) { b.setCookie = l.setCookie(n) }},
		{"strip", func(n ast.Node) { b.strip = plain(l.texts(n, "strip")) }},
		{"memory", func(n ast.Node) {
			b.memory, b.memoryAt = 0, n
			if text := textOr(n); text != "off" && text != "false" {
				b.memory = l.positive(n, "memory")
			}
		}},
		{"override", func(n ast.Node) { b.override, b.overrideAt = l.boolean(n, "override"), n }},
		{"status", func(n ast.Node) { b.status = l.statuses(n) }},
		{"request_directives", func(n ast.Node) {
			b.ignoreDirectives = l.choice(n, "request_directives", "obey", "ignore") == "ignore"
		}},
		{"stale_while_revalidate", func(n ast.Node) { b.staleWhileRevalidate = l.duration(n, "stale_while_revalidate") }},
		{"stale_if_error", func(n ast.Node) { b.staleIfError = l.duration(n, "stale_if_error") }},
		{"stale_if_unreachable", func(n ast.Node) {
			b.staleIfUnreachable, b.hasUnreachable = l.duration(n, "stale_if_unreachable"), true
		}},
		{"verify", func(n ast.Node) {
			share := ""
			l.mapping(n, "verify",
				field{"share", func(n ast.Node) { share = textOr(n) }},
				field{"ignore", func(n ast.Node) { l.texts(n, "ignore") }})
			l.later(n, "verify", share == "" || share == "0%" || share == "0")
		}},
	}
	if l.mapping(n, "cache", fields...) && !defaults && b.scope == "" && (b.scopeAt == nil || !l.faulty(b.scopeAt)) {
		l.fault(n, "scope must be stated: private (an entry for each caller), shared, or a verified value like %q", "{claim.org}")
	}
}

// statuses reads lifetimes by status.
func (l *loader) statuses(n ast.Node) map[int]time.Duration {
	pairs, _ := l.pairs(n, "status")
	out := make(map[int]time.Duration, len(pairs))
	for _, p := range pairs {
		status, err := strconv.Atoi(p.key)
		if err != nil || status < 200 || status > 599 {
			l.fault(p.at, "%q is no status of a final answer, like 404", p.key)
			continue
		}
		out[status] = l.duration(p.value, "the lifetime of a status")
	}
	return out
}

// fieldNames reads the names of request fields.
func (l *loader) fieldNames(n ast.Node) []string {
	var out []string
	for _, s := range l.texts(n, "vary") {
		if !httpfield.IsToken(s.text) || s.text == "*" {
			l.fault(s.at, "%q is no field name", s.text)
			continue
		}
		out = append(out, http.CanonicalHeaderKey(s.text))
	}
	return out
}

func (l *loader) setCookie(n ast.Node) SetCookie {
	if _, scalar := n.(*ast.StringNode); scalar {
		return SetCookie{Store: l.choice(n, "set_cookie", "refuse", "store") == "store"}
	}
	var rule SetCookie
	l.mapping(n, "set_cookie", field{"drop", func(n ast.Node) { rule.Drop = plain(l.texts(n, "drop")) }})
	if len(rule.Drop) == 0 {
		l.fault(n, "set_cookie is refuse, store, or {drop: [csrf_token]}")
	}
	return rule
}

// compileCache makes of a block what plans need.
func (l *loader) compileCache(r *route, b cacheBlock) *Cache {
	c := &Cache{
		Rules: httpcache.Rules{
			TTL: b.ttl, HasTTL: b.hasTTL, Override: b.override, Status: b.status, IgnoreDirectives: b.ignoreDirectives,
			StaleWhileRevalidate: b.staleWhileRevalidate, StaleIfError: b.staleIfError, StaleIfUnreachable: b.staleIfUnreachable,
		},
		MaxBody:   b.maxBody,
		Memory:    b.memory,
		SetCookie: b.setCookie,
		Vary:      slices.Clone(b.vary),
		query:     queryRule{listed: b.listed, names: b.query, ignored: b.ignoreQuery},
	}
	for _, s := range b.strip {
		c.Strip = append(c.Strip, canonicalPattern(s))
	}
	c.StrippedTargets = httpcache.StrippedTargets(c.Strip)
	l.scope(b, c)
	if c.Scope == Shared && !b.hasTTL && !b.hasUnreachable {
		c.Rules.StaleIfUnreachable = staleIfUnreachable
	}
	for _, s := range b.tags {
		if t := l.tag(r, c, s); t != nil {
			c.Tags = append(c.Tags, t)
			r.tagNodes = append(r.tagNodes, s.at)
		}
	}
	if c.Scope == Private && !l.jwt && b.hasTTL && b.ttl > l.caller.MaxAge && b.ttlAt != nil {
		l.smell(b.ttlAt, "no entry lives longer than max_age (%v) without jwt: credentials are then never verified", l.caller.MaxAge)
	}
	switch {
	case b.override && !b.hasTTL && len(b.status) == 0:
		l.fault(b.overrideAt, "override needs a ttl, or lifetimes by status: it lets them win over the answer's own")
	case b.override && c.Scope != Private:
		l.smell(b.overrideAt, "override lets ttl win over what the API says of an answer that many share: see that it never shortens a lifetime for a reason")
	}
	r.memoryNode = b.memoryAt
	c.Digest = l.digest(b)
	return c
}

// staleIfUnreachable is the default of a shared route without ttl, which is a cache as RFC 9111 §4.2.4 has it.
const staleIfUnreachable = time.Hour

func canonicalPattern(s string) string {
	prefix, open := strings.CutSuffix(s, "*")
	if open {
		return http.CanonicalHeaderKey(prefix) + "*"
	}
	return http.CanonicalHeaderKey(s)
}

func (l *loader) scope(b cacheBlock, c *Cache) {
	switch {
	case b.scope == "private":
		c.Scope = Private
		if b.authorized != "refuse" && b.authorizedAt != nil {
			l.fault(b.authorizedAt, "authorized is for shared routes: in a private one every answer may be kept for its own caller")
		}
	case b.scope == "shared":
		c.Scope, c.Rules.Shared = Shared, true
		c.Rules.Authorized = map[string]httpcache.Authorized{
			"verified": httpcache.AuthorizedVerified, "public": httpcache.AuthorizedPublic,
		}[b.authorized]
		if b.authorized == "verified" && !l.jwt {
			l.fault(b.authorizedAt, "authorized: verified needs jwt in the caller block: without it no token is verified")
		}
	case strings.Contains(b.scope, "{"):
		c.Scope, c.Rules.Shared = Partition, true
		c.Rules.Authorized = httpcache.AuthorizedVerified
		c.partition = l.partition(b.scopeAt, b.scope)
	case b.scope != "":
		l.fault(b.scopeAt, "scope %q is none of private, shared, and a verified value like %q", b.scope, "{claim.org}")
	}
}

func (l *loader) partition(n ast.Node, s string) *cachekeys.Template {
	t, err := cachekeys.ParseTemplate(s)
	if err != nil {
		l.fault(n, "scope %q: %v", s, err)
		return nil
	}
	for _, p := range t.Placeholders() {
		if p.Source != cachekeys.FromClaim {
			l.fault(n, "scope %q: a partition is made of claims, since nothing else is verified", s)
			return nil
		}
	}
	if !l.jwt {
		l.fault(n, "scope %q: claims need jwt in the caller block", s)
	}
	return t
}

// digest is that of everything that decides what an entry of the block means.
func (l *loader) digest(b cacheBlock) string {
	text, _ := json.Marshal(struct { // nothing here fails to marshal
		Format, Scope      string
		TTL                time.Duration
		HasTTL             bool
		Tags               []string
		MaxBody            int64
		Query              []string
		Listed             bool
		Ignore, Vary       []string
		Authorized         string
		SetCookie          SetCookie
		Strip              []string
		Override           bool
		Status             map[int]time.Duration
		Stale              [3]time.Duration
		StaleSet           bool
		MaxAge             time.Duration
		Issuer, Audience   string
		HasJWT             bool
		Credentials, NotIt any
		Cookies            []string
	}{
		l.options.Format, b.scope, b.ttl, b.hasTTL, plain(b.tags), b.maxBody, b.query, b.listed, b.ignoreQuery, b.vary, b.authorized,
		b.setCookie, b.strip, b.override, b.status, [3]time.Duration{b.staleWhileRevalidate, b.staleIfError, b.staleIfUnreachable}, b.hasUnreachable, l.caller.MaxAge, l.issuer(), l.audience(), l.jwt, l.caller.Credentials, l.caller.NotCredentials, l.caller.IgnoreCookies,
	})
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

func (l *loader) issuer() string {
	if l.caller.JWT == nil {
		return ""
	}
	return l.caller.JWT.Issuer
}

func (l *loader) audience() string {
	if l.caller.JWT == nil {
		return ""
	}
	return l.caller.JWT.Audience
}

// A queryRule says which parameters are part of the key.
type queryRule struct {
	listed  bool
	names   []string // if listed; a name may end in '*'
	ignored []string
}

// apply gives the query for the key and to send on. ok is false if the request has a parameter that is not listed, or a ';', at which
// some backends split too.
func (r queryRule) apply(raw string) (q cachekeys.Query, ok bool) {
	q = cachekeys.ParseQuery(raw)
	if raw == "" || !r.listed && len(r.ignored) == 0 {
		return q, true
	}
	if strings.Contains(raw, ";") {
		return q, false
	}
	q, _ = q.Without(func(name string) bool { return matchesAny(r.ignored, name) })
	if !r.listed {
		return q, true
	}
	return q, !slices.ContainsFunc(q.Names(), func(name string) bool { return !matchesAny(r.names, name) })
}

// matchesAny compares name with patterns that may end in '*'.
func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		if prefix, open := strings.CutSuffix(p, "*"); open {
			return strings.HasPrefix(name, prefix)
		}
		return p == name
	})
}
