package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/httpcache"
	"sidecar/internal/nearest"
	"sidecar/policy/yamldoc"
)

// compileCache turns a block into the form that plans use.
func (l *loader) compileCache(r *draft, b cacheBlock) *Cache {
	c := &Cache{
		Rules: httpcache.Rules{
			TTL: b.ttl, HasTTL: b.hasTTL, Override: b.override, Status: b.status,
			IgnoreDirectives: b.ignoreDirectives, IgnoreResponse: b.ignoreReply,
			StaleWhileRevalidate: b.staleWhileRevalidate, StaleIfError: b.staleIfError,
			StaleIfUnreachable: b.staleIfUnreachable,
		},
		MaxBody:   b.maxBody,
		Memory:    b.memory,
		Verify:    b.verify,
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
	for i, s := range b.tags {
		if t := l.tag(r, c, yamldoc.Located{Text: s, Place: b.at.tags[i]}); t != nil {
			c.Tags = append(c.Tags, t)
			r.tagsAt = append(r.tagsAt, b.at.tags[i])
		}
	}
	if b.scope == "private" && !l.jwt && b.hasTTL && b.ttl > l.caller.MaxAge {
		l.Smell(b.at.ttl,
			"no entry lives longer than max_age (%s) without jwt: credentials are then never "+
				"verified", brief(l.caller.MaxAge))
	}
	switch {
	case b.override && !b.hasTTL && len(b.status) == 0:
		l.Fault(b.at.override,
			"override needs a ttl, or lifetimes by status: it lets them win over the answer's own")
	case b.override && c.Scope != Private:
		l.Smell(b.at.override,
			"override lets ttl win over what the API says of an answer that many share: see that "+
				"it never shortens a lifetime for a reason")
	}
	switch {
	case b.ignoreReply && !b.hasTTL:
		l.Fault(b.at.directives,
			"response_directives: ignore needs a ttl: nothing else says how long an answer may be kept")
	case b.ignoreReply && c.Scope != Private:
		l.Smell(b.at.directives,
			"response_directives: ignore keeps answers that many share even where the API says "+
				"no-store or private: see that none of them is for one caller")
	}
	r.memoryAt = b.at.memory
	c.Digest = l.blockDigest(b)
	return c
}

// staleIfUnreachable is the default of a shared route without ttl, which RFC 9111 §4.2.4 allows.
const staleIfUnreachable = time.Hour

// brief is a time without the units that are 0: 5m for 5m0s.
func brief(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

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
		if b.authorized != "refuse" {
			l.Fault(b.at.authorized,
				"authorized is for shared routes: in a private one every answer may be kept for "+
					"its own caller")
		}
	case b.scope == "shared":
		c.Scope, c.Rules.Shared = Shared, true
		c.Rules.Authorized = map[string]httpcache.Authorized{
			"verified": httpcache.AuthorizedVerified, "public": httpcache.AuthorizedPublic,
		}[b.authorized]
		if b.authorized == "verified" && !l.jwt {
			l.Fault(b.at.authorized,
				"authorized: verified needs jwt in the caller block: without it no token is verified")
		}
	case strings.Contains(b.scope, "{"):
		c.Scope, c.Rules.Shared = Partition, true
		c.Rules.Authorized = httpcache.AuthorizedVerified
		c.partition = l.partition(b.at.scope, b.scope)
	case b.scope != "":
		l.Fault(b.at.scope, "scope %q is none of private, shared, and a verified value like %q%s",
			b.scope, "{claim.org}", meantScope(b.scope))
	}
}

// meantScope is the end of a message about a scope: the one that was probably meant.
func meantScope(s string) string {
	word := strings.ToLower(s)
	if strings.HasPrefix(word, "claim.") {
		return fmt.Sprintf(": write %q", "{"+s+"}")
	}
	switch word {
	case "public", "global", "all", "everyone", "any":
		word = "shared"
	case "user", "per-user", "per_user", "caller", "per-caller", "session", "personal":
		word = "private"
	default:
		word = nearest.To(word, []string{"private", "shared"})
	}
	if word == "" {
		return ""
	}
	return ": did you mean " + word + "?"
}

func (l *loader) partition(at yamldoc.Place, s string) *cachekeys.Template {
	t, err := cachekeys.ParseTemplate(s)
	if err != nil {
		l.Fault(at, "scope %q: %v", s, err)
		return nil
	}
	for _, p := range t.Placeholders() {
		if p.Source != cachekeys.FromClaim {
			l.Fault(at, "scope %q: a partition is made of claims, like %q, since "+
				"nothing else is verified", s, "{claim.org}")
			return nil
		}
	}
	if !l.jwt {
		l.Fault(at, "scope %q: claims need jwt in the caller block", s)
	}
	return t
}
