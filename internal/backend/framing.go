package backend

import (
	"net/http"
	"strconv"
	"strings"

	"sidecar/internal/httpfield"
)

// A contentKind is how the end of an answer's content is known (RFC 9112 §6.3).
type contentKind int

const (
	noContent  contentKind = iota
	counted                // by Content-Length
	chunked                // by the chunked transfer coding
	untilClose             // by the end of the connection
)

// A framing is how an answer's content ends, and whether its connection can be used again.
type framing struct {
	kind     contentKind
	length   int64 // announced, also to a HEAD; -1: unknown
	reusable bool  // the connection may carry another answer after this one
	suspect  bool  // read by the rules, but others may have read it otherwise: see Suspect
	// announced fields of the trailer section, without values; nil if there are none
	trailer http.Header
}

// frame reads the framing of an answer to a request of this method by §6.3, whose order it
// follows. Fields that frame the message are taken out of the head where they do not hold for who
// receives it next.
func frame(method string, h *responseHead) (framing, error) {
	f := framing{length: -1, reusable: h.minor > 0 && isPersistent(h.fields)}
	length, err := contentLength(h.fields)
	if err != nil {
		return f, err
	}
	codings, coded := h.fields["Transfer-Encoding"]
	if coded && (length >= 0 || h.minor == 0) {
		// Transfer-Encoding counts (rule 3), but somebody on the way may have read Content-Length,
		// or have known neither (§6.1).
		f.suspect, f.reusable = true, false
	}
	isChunked := false
	if coded {
		delete(h.fields, "Transfer-Encoding")
		delete(h.fields, "Content-Length")
		length = -1
		isChunked, err = parseTransferEncoding(codings)
	}
	switch {
	case isContentless(method, h.status): // rule 1
		f.kind, f.length = noContent, 0
		if method == http.MethodHead {
			f.length = length
		}
		if coded && !isChunked || h.status == http.StatusNoContent && (coded || length > 0) {
			f.reusable = false // content may follow all the same
		}
		return f, nil
	case err != nil:
		return f, err
	case isChunked: // rule 4
		f.kind, f.trailer = chunked, announced(h.fields)
	case coded:
		// Rule 4 too: the content reaches to the end of the connection, as far as anybody can tell.
		// The field ends at this hop.
		f.kind, f.reusable = untilClose, false
	case length > 0: // rule 6
		f.kind, f.length = counted, length
	case length == 0:
		f.kind, f.length = noContent, 0
	default: // rule 8
		f.kind, f.reusable = untilClose, false
	}
	return f, nil
}

// isContentless reports whether the answer has no content, though its fields may announce some.
func isContentless(method string, status int) bool {
	return method == http.MethodHead || status < 200 || status == http.StatusNoContent ||
		status == http.StatusNotModified
}

// isPersistent reports whether Connection lets the connection be used again (§9.3). One that
// cannot be read does not.
func isPersistent(fields http.Header) bool {
	for _, line := range fields["Connection"] {
		for line != "" {
			option, rest, ok := httpfield.NextMember(line)
			if !ok || strings.EqualFold(option, "close") {
				return false
			}
			line = rest
		}
	}
	return true
}

// contentLength reads Content-Length; -1 if there is none. Several equal values are one (rule 5),
// and are put in their place.
func contentLength(fields http.Header) (int64, error) {
	lines, ok := fields["Content-Length"]
	if !ok {
		return -1, nil
	}
	only, _, _ := strings.Cut(lines[0], ",")
	only = httpfield.TrimOWS(only)
	for _, line := range lines {
		for value := range strings.SplitSeq(line, ",") {
			if httpfield.TrimOWS(value) != only {
				return 0, malformed("two values of Content-Length")
			}
		}
	}
	n, err := strconv.ParseUint(only, 10, 63) // digits alone
	if err != nil {
		return 0, malformed("a Content-Length that is no number")
	}
	if only != lines[0] || len(lines) > 1 {
		fields["Content-Length"] = []string{only}
	}
	return int64(n), nil
}

// parseTransferEncoding reads the transfer codings of a message that has the field: chunked alone,
// or one that is not known. Every other says that the content is coded in a way that was not asked
// for and that nobody takes off.
func parseTransferEncoding(values []string) (isChunked bool, err error) {
	codings, ok := httpfield.Members(values)
	if !ok || len(codings) != 1 {
		return false, malformed("a Transfer-Encoding that is not one coding")
	}
	name, _, hasParameters := strings.Cut(codings[0], ";")
	name = strings.ToLower(httpfield.TrimOWS(name))
	switch {
	case !httpfield.IsToken(name):
		return false, malformed("a Transfer-Encoding that is no coding")
	case name == "chunked" && hasParameters: // it has none (§7.1)
		return false, malformed("chunked with parameters")
	case name == "gzip", name == "x-gzip", name == "deflate", name == "compress",
		name == "x-compress", name == "br", name == "zstd":
		return false, malformed("a transfer coding that was not asked for")
	}
	return name == "chunked", nil
}

// announced takes Trailer out of the head, and returns the fields that it names.
func announced(fields http.Header) http.Header {
	lines, ok := fields["Trailer"]
	if !ok {
		return nil
	}
	delete(fields, "Trailer")
	names, _ := httpfield.FieldNames(lines)
	trailer := make(http.Header, len(names))
	for _, name := range names {
		if httpfield.MayBeTrailer(name) {
			trailer[name] = nil
		}
	}
	if len(trailer) == 0 {
		return nil
	}
	return trailer
}
