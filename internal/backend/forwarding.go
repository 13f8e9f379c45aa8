package backend

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"sidecar/internal/httpfield"
)

// A source is where a request came from, as the backend is told.
type source struct {
	trusted bool   // the peer's own forwarding fields are believed
	client  string // see clientOf; "" before
}

func (f *Fields) source() source { return source{trusted: f.trusted()} }

// clientOf is the address of the client; "": it is not known.
func (f *Fields) clientOf(o *source) string {
	if o.client == "" {
		if client := f.client(o.trusted); client.IsValid() {
			o.client = client.Unmap().WithZone("").String()
		}
	}
	return o.client
}

// forwarding is the named forwarding field as it is sent: that of a trusted peer unchanged, else
// one that agrees with those that are: the client is the one that a trusted peer names, else the
// peer. A field that is made is appended to room.
func (f *Fields) forwarding(name string, o *source, room []string) []string {
	if o.trusted {
		if came := f.came(name); len(came) > 0 {
			return came
		}
	}
	value := ""
	switch name {
	case "X-Forwarded-For", "X-Real-Ip":
		value = f.clientOf(o)
	case "X-Forwarded-Host":
		value = f.host(o.trusted)
	case "X-Forwarded-Proto":
		value = f.proto(o.trusted)
	case "Forwarded":
		value = httpfield.Forwarded{
			For: httpfield.Node(f.clientOf(o)), Host: f.host(o.trusted), Proto: f.proto(o.trusted),
		}.String()
	}
	if value == "" {
		return nil
	}
	return append(room, value)
}

// host is the authority that the client asked, as far as it is known.
func (f *Fields) host(trusted bool) string {
	if trusted {
		if v := last(f.came("X-Forwarded-Host")); v != "" {
			return v
		}
		if v := f.nearest().Host; v != "" && isPlainHost(v) {
			return v
		}
	}
	return f.request.Host
}

// proto is the scheme by which the client asked, as far as it is known.
func (f *Fields) proto(trusted bool) string {
	if trusted {
		if v := last(f.came("X-Forwarded-Proto")); v != "" {
			return v
		}
		if v := strings.ToLower(f.nearest().Proto); v == "http" || v == "https" {
			return v
		}
	}
	return "http"
}

// told are the elements of a trusted peer's Forwarded, if it tells nothing by another field: one
// that does may have let pass what a client says by Forwarded.
func (f *Fields) told() []httpfield.Forwarded {
	lines := f.came("Forwarded")
	if len(lines) == 0 {
		return nil
	}
	for name := range f.request.Header {
		if name != "Forwarded" && isForwarding(name) && len(f.came(name)) > 0 {
			return nil
		}
	}
	elements, ok := httpfield.ParseForwarded(lines)
	if !ok {
		return nil
	}
	return elements
}

// nearest is the element that the trusted peer itself has written.
func (f *Fields) nearest() (e httpfield.Forwarded) {
	if told := f.told(); len(told) > 0 {
		e = told[len(told)-1]
	}
	return e
}

// client is who asked: the last address of X-Forwarded-For, or else of Forwarded, that is not a
// trusted proxy's own, else X-Real-IP, else the peer.
func (f *Fields) client(trusted bool) netip.Addr {
	if !trusted {
		return f.peer
	}
	members, _ := httpfield.Members(f.came("X-Forwarded-For"))
	for _, e := range f.told() {
		members = append(members, e.For)
	}
	believed := netip.Addr{}
	for i := len(members) - 1; i >= 0; i-- {
		addr, ok := parseNode(members[i])
		if !ok {
			break
		}
		if believed = addr; !f.backend.trusts(believed) {
			return believed
		}
	}
	if believed.IsValid() {
		return believed
	}
	if addr, ok := parseNode(last(f.came("X-Real-Ip"))); ok {
		return addr
	}
	return f.peer
}

// Client is the address of who asked, as far as it is believed; "" if it is not known.
func (f *Fields) Client() string {
	o := f.source()
	return f.clientOf(&o)
}

// Asked is the scheme and the authority that the client asked, as far as they are believed.
func (f *Fields) Asked() (scheme, authority string) {
	trusted := f.trusted()
	return f.proto(trusted), f.host(trusted)
}

// parseNode reads an address as ingresses write it: alone, in brackets, or with a port.
func parseNode(s string) (addr netip.Addr, ok bool) {
	s = strings.Trim(strings.TrimSpace(s), `"`)
	if withPort, err := netip.ParseAddrPort(s); err == nil {
		return withPort.Addr().Unmap(), true
	}
	if inside, bracketed := strings.CutPrefix(s, "["); bracketed {
		s, bracketed = strings.CutSuffix(inside, "]")
		if !bracketed {
			return addr, false
		}
		addr, err := netip.ParseAddr(s)
		return addr.Unmap(), err == nil && addr.Is6()
	}
	addr, err := netip.ParseAddr(s)
	return addr.Unmap(), err == nil
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

// isForwarding reports whether the field says where a request came from. One that says who is
// asking is a credential.
func isForwarding(name string) bool {
	if c := name[0] | 0x20; c != 'x' && c != 'f' {
		return false
	}
	name = httpfield.Hyphenated(name)
	return name == "forwarded" || name == "x-real-ip" ||
		strings.HasPrefix(name, "x-forwarded-") && !httpfield.Identifies(name)
}

// isTwin reports whether a server that reads '_' as '-' takes the field for one that the sidecar
// sets.
func isTwin(name string) bool { return isSet(http.CanonicalHeaderKey(httpfield.Hyphenated(name))) }

// last is the last member of the last value.
func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	v := values[len(values)-1]
	return strings.TrimSpace(v[strings.LastIndexByte(v, ',')+1:])
}
