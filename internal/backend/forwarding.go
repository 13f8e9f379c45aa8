package backend

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"sidecar/internal/httpfield"
)

// forwarding puts the forwarding fields of h right, which are those that r came with: from a
// trusted peer they pass unchanged and those that are absent are set; those of any other peer are
// replaced. What is set agrees with what was there: the client is whom a trusted peer says it is,
// else the peer.
func (b *Backend) forwarding(r *http.Request, h http.Header) {
	peer := peerOf(r.RemoteAddr)
	if !b.trusts(peer) {
		for name := range h {
			if isForwarding(name) {
				delete(h, name)
			}
		}
	}
	client := b.client(peer, h)
	host, proto := r.Host, "http"
	if v := last(h["X-Forwarded-Host"]); v != "" {
		host = v
	}
	if v := last(h["X-Forwarded-Proto"]); v != "" {
		proto = v
	}
	set := func(name, value string) {
		if _, there := h[name]; !there && value != "" {
			h[name] = []string{value}
		}
	}
	address := ""
	if client.IsValid() {
		address = client.WithZone("").String()
	}
	set("X-Forwarded-For", address)
	set("X-Real-Ip", address)
	set("X-Forwarded-Host", host)
	set("X-Forwarded-Proto", proto)
	set("Forwarded", httpfield.Forwarded{For: httpfield.Node(client), Host: host, Proto: proto}.String())
}

// client is who asked: the last address of X-Forwarded-For that is not a trusted proxy's own, else
// X-Real-IP, else the peer.
func (b *Backend) client(peer netip.Addr, h http.Header) netip.Addr {
	members, _ := httpfield.Members(h["X-Forwarded-For"])
	believed := netip.Addr{}
	for i := len(members) - 1; i >= 0; i-- {
		addr, err := netip.ParseAddr(members[i])
		if err != nil {
			break
		}
		if believed = addr.Unmap(); !b.trusts(believed) {
			return believed
		}
	}
	if believed.IsValid() {
		return believed
	}
	if addr, err := netip.ParseAddr(last(h["X-Real-Ip"])); err == nil {
		return addr.Unmap()
	}
	return peer
}

func (b *Backend) trusts(peer netip.Addr) bool {
	for _, p := range b.options.Trusted {
		if p.Contains(peer.WithZone("")) {
			return true
		}
	}
	return false
}

// peerOf is the address of a connection; the zero address where it has none, as that of a Unix
// socket.
func peerOf(remote string) netip.Addr {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	addr, _ := netip.ParseAddr(host)
	return addr.Unmap()
}

// isForwarding reports whether the field says where a request came from. Some servers read '_' as
// '-'.
func isForwarding(name string) bool {
	name = strings.ToLower(strings.ReplaceAll(name, "_", "-"))
	return name == "forwarded" || name == "x-real-ip" || strings.HasPrefix(name, "x-forwarded-") && !namesUser(name)
}

// namesUser reports whether the field says who asks rather than from where: that is a credential
// (policy.caller).
func namesUser(name string) bool {
	return strings.HasPrefix(name, "x-forwarded-user") || name == "x-forwarded-client-cert" || name == "x-forwarded-email" ||
		name == "x-forwarded-groups" || name == "x-forwarded-preferred-username" || name == "x-forwarded-access-token"
}

// last is the last member of the last value.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	v := values[len(values)-1]
	return strings.TrimSpace(v[strings.LastIndexByte(v, ',')+1:])
}
