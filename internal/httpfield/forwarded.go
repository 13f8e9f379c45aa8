package httpfield

import (
	"net/netip"
	"strings"
)

// A Forwarded is one element of the Forwarded field (RFC 7239): what one proxy knows of the request's way. An empty
// parameter is not written, nor is one with a control byte, which no field can hold.
type Forwarded struct {
	For   string // who asked: Node, "unknown", or an obfuscated name that begins with '_'
	By    string // where the request came in: like For
	Host  string // as the request had it
	Proto string // "http" or "https"
}

// String is the element as it is sent, `for=192.0.2.1;host="api.example:8080";proto=http`; "" if nothing is known.
func (f Forwarded) String() string {
	var b strings.Builder
	for _, p := range [...]struct{ name, value string }{{"for", f.For}, {"by", f.By}, {"host", f.Host}, {"proto", f.Proto}} {
		value := p.value
		if !IsToken(value) {
			quoted, ok := Quote(value)
			if value == "" || !ok {
				continue
			}
			value = quoted
		}
		if b.Len() > 0 {
			b.WriteByte(';')
		}
		b.WriteString(p.name + "=" + value)
	}
	return b.String()
}

// Node is addr as For and By have it (§6): an IPv6 address in brackets, without its zone, and an IPv4 address that came
// mapped into IPv6 as what it is. The zero address is "unknown".
func Node(addr netip.Addr) string {
	switch addr = addr.Unmap().WithZone(""); {
	case !addr.IsValid():
		return "unknown"
	case addr.Is6():
		return "[" + addr.String() + "]"
	}
	return addr.String()
}
