package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/httpfield"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
)

// answerStored answers from the store.
func (p *Proxy) answerStored(x *exchange, req httpfield.Request, found store.Found, use httpcache.Reuse) {
	x.out.Result = telemetry.ResultHit
	if use.Refresh {
		x.out.Result = telemetry.ResultStale
	}
	x.out.TTL = use.TTL
	x.out.Detail = telemetry.DetailRedis
	if found.Memory {
		x.out.Detail = telemetry.DetailMemory
	}
	p.answerEntry(x, req, found.Entry, age(use))
}

// age is the Age field of what is served from the store (RFC 9111 §5.1).
func age(use httpcache.Reuse) []string {
	return []string{strconv.FormatInt(int64(use.Age/time.Second), 10)}
}

// answerEntry answers with an entry: 304 to a condition that holds, a part to who wants one, no content to a HEAD (RFC 9110 §13.2.2, §14.2, §9.3.2). age is
// the Age field; none for what the backend has just confirmed (RFC 9111 §5.1).
func (p *Proxy) answerEntry(x *exchange, req httpfield.Request, e *entry.Entry, age []string) {
	h := x.w.Header()
	for name, values := range e.Fields() {
		h[name] = values
	}
	if len(age) > 0 {
		h["Age"] = age
	}
	p.finishHead(x, h)
	if httpcache.Conditional(req, stored(e)) {
		dropRepresentation(h)
		x.w.WriteHeader(http.StatusNotModified)
		return
	}
	if answerRange(x.w, h, req, e) {
		return
	}
	if bodyAllowed(e.Status) {
		h["Content-Length"] = []string{strconv.Itoa(len(e.Body))}
	}
	x.w.WriteHeader(e.Status)
	if x.r.Method != http.MethodHead && len(e.Body) > 0 {
		_, _ = x.w.Write(e.Body) // a client that has gone is nobody's error
	}
}

// dropRepresentation takes out what a 304 does not carry (RFC 9110 §15.4.5): the description of content that is not there.
func dropRepresentation(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, "Content-") && name != "Content-Location" && !strings.HasPrefix(name, "Content-Security-") {
			delete(h, name)
		}
	}
	h["Content-Type"] = nil
}

// bodyAllowed reports whether an answer of this status has content (RFC 9110 §6.4.1).
func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
