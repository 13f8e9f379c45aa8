package jobhook

import (
	"net/http"

	"sidecar/internal/httpfield"
	"sidecar/internal/jobs"
	"sidecar/internal/peek"
	"sidecar/internal/reason"
)

// readBody reads up to limit bytes of r's body and puts them back, so that r can be sent to the
// backend whole in any case. why is the reason that there is no job: the body is longer, or late,
// or ended early. The body has to be released.
func (h *Hook) readBody(r *http.Request, limit int64) (held peek.Held, why reason.Reason) {
	if r.ContentLength == 0 {
		return peek.Held{Whole: true}, ""
	}
	held = h.Bodies.Body(r.Body, limit)
	r.Body = held.Again
	switch {
	case held.Err != nil:
		return held, reason.Incomplete
	case held.LetGo:
		return held, reason.JobBodyLate
	case !held.Whole:
		return held, reason.JobBodyTooBig
	}
	return held, ""
}

// capture returns r, with its body, as a job keeps it.
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
	target, _ := httpfield.OriginForm(r.RequestURI)
	return &jobs.Request{
		Method: r.Method, Target: target, Host: r.Host, Proto: r.Proto, RemoteAddr: r.RemoteAddr,
		Fields: fields, Trailer: r.Trailer.Clone(), Body: body,
	}
}
