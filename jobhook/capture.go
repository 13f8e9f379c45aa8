package jobhook

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"sidecar/internal/httpfield"
	"sidecar/internal/jobs"
)

// readBody reads the body of r, of which at most limit bytes may make a job, and puts it back: whatever it returns, r can be
// sent to the backend as if nobody had looked. ok is false if there is more, or if the body ended early.
func readBody(r *http.Request, limit int64) (content []byte, ok bool, err error) {
	switch {
	case r.ContentLength > limit:
		return nil, false, nil
	case r.ContentLength == 0:
		return nil, true, nil
	}
	content, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
	r.Body = &putBack{Reader: io.MultiReader(bytes.NewReader(content), rest{r.Body, err}), Closer: r.Body}
	return content, err == nil && int64(len(content)) <= limit, err
}

// putBack is a body of which a part has been read already.
type putBack struct {
	io.Reader
	io.Closer
}

// rest is what follows the part, or the error that ended it.
type rest struct {
	body io.Reader
	err  error
}

// Read implements io.Reader.
func (r rest) Read(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	return r.body.Read(b)
}

// capture is r with its body as a job keeps it.
func capture(r *http.Request, body []byte) *jobs.Request {
	fields := r.Header.Clone()
	httpfield.HopOf(httpfield.Header(r.Header)).Strip(fields)
	delete(fields, "Content-Length") // the length of body
	delete(fields, "Expect")         // it has been met
	delete(fields, "Trailer")        // the names in Trailer
	if prefer := withoutQueueing(fields["Prefer"]); len(prefer) > 0 {
		fields["Prefer"] = prefer
	} else {
		delete(fields, "Prefer")
	}
	return &jobs.Request{
		Method: r.Method, Target: originForm(r.RequestURI), Host: r.Host, Proto: r.Proto, RemoteAddr: r.RemoteAddr,
		Fields: fields, Trailer: r.Trailer.Clone(), Body: body,
	}
}

// withoutQueueing takes respond-async and wait out of Prefer (RFC 7240 §4.1, §4.3): the worker wants the answer, and waits
// for it. All other preferences are the backend's. Where the field cannot be read for certain it is dropped: preferences may be
// ignored.
func withoutQueueing(values []string) []string {
	members, ok := httpfield.Members(values)
	if !ok {
		return nil
	}
	var kept []string
	for _, m := range members {
		name, _, _ := strings.Cut(m, ";")
		name, _, _ = strings.Cut(name, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "respond-async", "wait":
		default:
			kept = append(kept, m)
		}
	}
	return kept
}

// originForm is a request target without its scheme and authority, which Host has.
func originForm(target string) string {
	if strings.HasPrefix(target, "/") {
		return target
	}
	_, rest, found := strings.Cut(target, "://")
	if !found {
		return target
	}
	i := strings.IndexAny(rest, "/?")
	switch {
	case i < 0:
		return "/"
	case rest[i] == '?':
		return "/" + rest[i:]
	}
	return rest[i:]
}
