package httpfield

import (
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Host is an authority in one spelling (RFC 3986 §6.2): in lower case, without user, escapes,
// default or empty port, and the dot that ends a full name. The scheme is not known for certain,
// since TLS ends before this process, so the default port of either counts.
func Host(authority string) string {
	host := strings.ToLower(authority[strings.LastIndexByte(authority, '@')+1:])
	if strings.Contains(host, "%") {
		if plain, err := url.PathUnescape(host); err == nil {
			host = strings.ToLower(plain)
		}
	}
	port := ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && isDigits(host[i+1:]) &&
		!strings.HasSuffix(host, "]") {
		host, port = host[:i], strings.TrimLeft(host[i+1:], "0")
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if addr, err := netip.ParseAddr(strings.TrimSuffix(inner, "]")); err == nil {
			host = "[" + addr.String() + "]"
		}
	}
	host = strings.TrimRight(host, ".")
	if port == "" || port == "80" || port == "443" {
		return host
	}
	return host + ":" + port
}

func isDigits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// maxHosts bounds Hosts.
const maxHosts = 4

// Hosts are the authorities under which a request came, each once and in the spelling of Host: that
// of its target, and those that the backend is told by X-Forwarded-Host and Forwarded. overflow:
// they are more than the bound of 4, and not all are there.
func Hosts(authority string, sent Fields) (hosts []string, overflow bool) {
	add := func(authority string) {
		switch host := Host(authority); {
		case slices.Contains(hosts, host):
		case len(hosts) == maxHosts:
			overflow = true
		default:
			hosts = append(hosts, host)
		}
	}
	add(authority)
	members, _ := Members(sent.Values("X-Forwarded-Host"))
	for _, m := range members {
		add(m)
	}
	members, _ = Members(sent.Values("Forwarded"))
	for _, m := range members {
		for pair := range strings.SplitSeq(m, ";") {
			name, value, _ := strings.Cut(TrimOWS(pair), "=")
			if strings.EqualFold(name, "host") {
				add(strings.Trim(value, `"`))
			}
		}
	}
	return hosts, overflow
}
