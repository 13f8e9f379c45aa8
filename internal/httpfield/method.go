package httpfield

import "slices"

// safeMethods are the safe methods of the IANA registry (RFC 9110 §9.2.1, QUERY of RFC 10008).
var safeMethods = []string{
	"GET", "HEAD", "OPTIONS", "PRI", "PROPFIND", "QUERY", "REPORT", "SEARCH", "TRACE",
}

// unsafeMethods are the other methods of the IANA registry.
var unsafeMethods = []string{
	"ACL", "BASELINE-CONTROL", "BIND", "CHECKIN", "CHECKOUT", "CONNECT", "COPY", "DELETE",
	"LABEL", "LINK", "LOCK",
	"MERGE", "MKACTIVITY", "MKCALENDAR", "MKCOL", "MKREDIRECTREF", "MKWORKSPACE", "MOVE",
	"ORDERPATCH", "PATCH",
	"POST", "PROPPATCH", "PUT", "REBIND", "UNBIND", "UNCHECKOUT", "UNLINK", "UNLOCK", "UPDATE",
	"UPDATEREDIRECTREF",
	"VERSION-CONTROL",
}

// Methods are the methods of the IANA registry.
func Methods() []string { return slices.Concat(safeMethods, unsafeMethods) }

// IsSafe reports whether a method, in capitals, is known to change nothing.
func IsSafe(method string) bool { return slices.Contains(safeMethods, method) }
