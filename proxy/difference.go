package proxy

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"

	"sidecar/internal/backend"
	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/jsonbody"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
)

// maxPlaces bounds the places that one comparison names.
const maxPlaces = 10

// A difference has the places where an answer of the backend differs from the stored one, and its
// status.
type difference struct {
	places []string // paths into JSON, header:NAME, (status) or (body)
	status int
}

func (d difference) any() bool { return len(d.places) > 0 }

// differences compares the stored response with an answer. why is not empty where the two cannot be
// compared.
func (q *question) differences(resp *http.Response) (d difference, why telemetry.Inconclusive) {
	e := q.found.Entry
	d.status = resp.StatusCode
	switch {
	case backend.Suspect(resp):
		return d, telemetry.InconclusiveNoAnswer
	case resp.StatusCode == e.Status:
	case wouldNotLast(resp.StatusCode), wouldNotLast(e.Status):
		return d, telemetry.InconclusiveError
	default:
		d.places = append(d.places, "(status)")
		return d, ""
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, store.MaxWhole+1))
	if err != nil {
		return d, telemetry.InconclusiveNoAnswer
	}
	read := q.x.plan.Read
	fields := httpfield.Header(httpcache.StorableFields(read.Rules, httpfield.Header(resp.Header),
		read.Cache.Strip))
	d.places = fieldsThatDiffer(e, fields, read.Cache.Verify.Fields)
	places, why := q.bodies(fields, content)
	d.places = append(d.places, places...)
	if d.any() && why == "" && q.repeatsCookie(fields, content) {
		why = telemetry.InconclusiveCookie
	}
	return d, why
}

// bodies compares the stored content with that of an answer with these fields.
func (q *question) bodies(fields httpfield.Header, content []byte) (
	places []string, why telemetry.Inconclusive) {
	e, rule := q.found.Entry, q.x.plan.Read.Cache.Verify
	if bytes.Equal(e.Body, content) && coding(e) == coding(fields) {
		return nil, ""
	}
	stored, ok1 := jsonbody.Unpack(e.Body, coding(e), store.MaxWhole)
	sent, ok2 := jsonbody.Unpack(content, coding(fields), store.MaxWhole)
	if !ok1 || !ok2 {
		return nil, telemetry.InconclusiveCoding
	}
	if bytes.Equal(stored, sent) {
		return nil, ""
	}
	if isJSON(e) && isJSON(fields) {
		places, ok := jsonbody.Differences(stored, sent, rule.Paths, maxPlaces,
			q.x.plan.Read.IsValue)
		if ok {
			if i := slices.Index(places, ""); i >= 0 {
				places[i] = wholeBody
			}
			return places, ""
		}
	}
	return []string{wholeBody}, ""
}

// wholeBody is the place of a difference that has no path.
const wholeBody = "(body)"

func coding(f httpfield.Fields) string { return strings.Join(f.Values("Content-Encoding"), ",") }

func isJSON(f httpfield.Fields) bool { return jsonbody.IsJSON(httpfield.First(f, "Content-Type")) }

// repeatsCookie reports whether an answer is about a cookie that is in no key. It would not be
// stored, and says nothing about other requests.
func (q *question) repeatsCookie(fields httpfield.Header, content []byte) bool {
	e := &entry.Entry{}
	e.Vary, _ = httpcache.VaryNames(fields)
	finder := finderFor(q.x.plan.Read, e, fields)
	if finder == nil {
		return false
	}
	content, ok := jsonbody.Unpack(content, coding(fields), store.MaxWhole)
	if !ok || isWide(httpfield.First(fields, "Content-Type"), content) || finder.InFields(fields) {
		return true
	}
	finder.Write(content)
	return finder.Found()
}

// fieldsThatDiffer are the fields of two responses that differ, but for those that do so in each
// answer.
func fieldsThatDiffer(a, b httpfield.Fields, ignored []string) (places []string) {
	var names []string
	for _, f := range []httpfield.Fields{a, b} {
		for name := range f.All() {
			if !slices.Contains(names, name) && !slices.Contains(ignored, name) &&
				!isOfOneAnswer(name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	for _, name := range names {
		if len(places) < maxPlaces && !slices.Equal(a.Values(name), b.Values(name)) {
			places = append(places, "header:"+name)
		}
	}
	return places
}

// isOfOneAnswer reports whether a field tells of one message, of its way or of its handling, and
// not of the content.
func isOfOneAnswer(name string) bool {
	if _, found := slices.BinarySearch(ofOneAnswer, name); found {
		return true
	}
	for _, part := range []string{
		"-Id", "Trace", "Time", "Ratelimit", "-Ray", "Nonce", "Digest", "Cache",
	} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// ofOneAnswer is sorted.
var ofOneAnswer = []string{
	"Accept-Ranges", "Age", "Alt-Svc", "Connection", "Content-Encoding",
	"Content-Length", "Content-Md5",
	"Content-Security-Policy", "Content-Security-Policy-Report-Only", "Date", "Etag", "Expires",
	"Keep-Alive", "Last-Modified", "Nel", "Pragma", "Report-To", "Reporting-Endpoints", "Server",
	"Set-Cookie", "Trailer", "Transfer-Encoding", "Vary", "Via", "Warning",
}
