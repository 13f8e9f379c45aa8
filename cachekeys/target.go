package cachekeys

import (
	"slices"

	"sidecar/internal/httpfield"
)

// targetFields are the fields that tell some backend the scheme, the authority or the prefix of the
// client's URI. In which of them it believes is not known here, so that all are part of the key.
var targetFields = map[string]bool{
	"Forwarded": true,

	"X-Forwarded-Proto": true, "X-Forwarded-Protocol": true, "X-Forwarded-Scheme": true,
	"X-Forwarded-Ssl": true, "X-Forwarded-Https": true, "X-Scheme": true, "X-Url-Scheme": true,
	"X-Https": true, "X-Ssl": true, "X-Original-Proto": true, "X-Original-Scheme": true,
	"X-Arr-Ssl": true, "X-Client-Scheme": true, "X-Client-Proto": true, "Front-End-Https": true,
	"Cloudfront-Forwarded-Proto": true, "Cf-Visitor": true,

	"X-Forwarded-Host": true, "X-Forwarded-Port": true,
	"X-Forwarded-Server-Name": true, "X-Host": true,
	"X-Original-Host": true, "X-Original-Port": true, "X-Real-Host": true,
	"X-Real-Port": true, "X-Port": true,
	"X-Http-Host-Override": true, "X-Host-Override": true, "X-Envoy-Original-Host": true,
	"X-Appengine-Default-Version-Hostname": true, "X-Forwarded-Server": true,
	"X-Forwarded-Hostname": true,
	"X-Forwarded-Domain":   true, "X-Forwarded-Origin": true, "X-Http-Host": true,
	"X-Rewrite-Host": true,
	"X-Origin-Host":  true, "X-Server-Name": true, "X-Base-Url": true, "X-Base-Uri": true,

	"X-Forwarded-Prefix": true, "X-Forwarded-Path": true, "X-Forwarded-Pathbase": true,
	"X-Forwarded-Base": true, "X-Forwarded-Base-Path": true, "X-Forwarded-Basepath": true,
	"X-Forwarded-Root":    true,
	"X-Forwarded-Context": true, "X-Forwarded-Script-Name": true,
	"X-Script-Name": true, "X-Original-Prefix": true, "X-Ingress-Path": true,
	"X-Envoy-Original-Path": true,
	"X-Replaced-Path":       true, "X-Base-Path": true, "X-Proxy-Prefix": true,
}

// Target returns the fields of a request, beside Host, that tell the backend its scheme, authority
// and prefix: the fields as they are sent, by name, where they say more than the sidecar tells of a
// request without them. plain is false if the name of some field has a byte that servers take for
// '-': the backend may then read another field than the one that is compared. few is false if there
// are more fields than all servers read.
func Target(req *httpfield.Request) (told []Vary, plain, few bool) {
	s := scanOf(req.Fields)
	if slices.Contains(s.names, "Forwarded") {
		// The sidecar may make these of it, and of fields that are not compared.
		s.names = append(s.names, "X-Forwarded-Host", "X-Forwarded-Proto")
	}
	slices.Sort(s.names)
	for _, name := range slices.Compact(s.names) {
		if values := targetValues(req, name); values != nil {
			told = append(told, Vary{name, values})
		}
	}
	return told, !s.odd, s.lines <= maxLines
}

// maxLines is how many field lines a request may have, beside those that the sidecar adds. Servers
// refuse more than 100 (Apache, Tomcat, Gunicorn), or leave out those over 2,000 (Node).
const maxLines = 90

// A scan notes the names of fields that matter to Target.
type scan struct {
	names []string // of targetFields
	odd   bool
	lines int
}

func scanOf(f httpfield.Fields) (s scan) {
	header, ok := f.(httpfield.Header)
	if !ok {
		return scanAll(f)
	}
	for name, values := range header { // without a closure, which would cost an allocation
		s.see(name, len(values))
	}
	return s
}

func scanAll(f httpfield.Fields) (s scan) {
	for name, values := range f.All() {
		s.see(name, len(values))
	}
	return s
}

func (s *scan) see(name string, lines int) {
	s.lines += lines
	s.odd = s.odd || !httpfield.IsPlainName(name)
	switch name[0] {
	case 'X', 'F', 'C':
		if targetFields[name] {
			s.names = append(s.names, name)
		}
	}
}

// targetValues are the values of one of targetFields as it is sent; nil if it says no more than a
// request without it.
func targetValues(req *httpfield.Request, name string) []string {
	values := req.Outgoing().Values(name)
	switch {
	case len(values) == 0:
		return nil
	case name == "Forwarded" && !slices.Equal(values, req.Fields.Values(name)):
		return nil // the sidecar has made it of Host and the other fields
	case name == "Forwarded":
		return []string{httpfield.ForwardedTarget(values)} // not the client's address
	case len(values) == 1 && name == "X-Forwarded-Proto" && values[0] == "http",
		len(values) == 1 && name == "X-Forwarded-Host" && values[0] == req.Authority &&
			req.Authority != "":
		return nil // as the sidecar sets it
	}
	return values
}
