package jobhook

import (
	"strings"

	"sidecar/internal/httpfield"
	"sidecar/internal/jobs"
	"sidecar/internal/jsonbody"
)

// maxUncoded bounds the content of a result without its coding.
const maxUncoded = 32 << 20

// recode makes the result one that accept, the client's Accept-Encoding, accepts: the backend chose
// its coding for the client of the POST. If ok is false it has none that is accepted, and cannot be
// had without.
func recode(response *jobs.Response, accept []string) (coding string, ok bool) {
	fields := response.Fields
	coding = strings.Join(fields["Content-Encoding"], ", ")
	if coding == "" {
		return "", true
	}
	members, ok := httpfield.Members(fields["Content-Encoding"])
	accepted := ok
	for _, m := range members {
		accepted = accepted && httpfield.AcceptsCoding(accept, m)
	}
	if accepted {
		return coding, true
	}
	partial := len(fields["Content-Range"]) > 0
	if partial || httpfield.ParseCacheControl(fields["Cache-Control"]).NoTransform ||
		!httpfield.AcceptsCoding(accept, "identity") {
		return coding, false
	}
	body, ok := jsonbody.Unpack(response.Body, coding, maxUncoded)
	if !ok {
		return coding, false
	}
	response.Body = body
	for _, name := range []string{
		"Content-Encoding", "Content-Digest", "Repr-Digest", "Digest", "Content-Md5",
	} {
		delete(fields, name) // they are about the coded content
	}
	if tag, ok := httpfield.ParseETag(fields.Get("Etag")); ok {
		tag.Weak = true // another representation of the same
		fields["Etag"] = []string{tag.String()}
	}
	return coding, true
}
