package proxy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"sidecar/internal/httpcache"
	"sidecar/internal/store"
	"sidecar/internal/telemetry"
)

// answerStored answers from the store.
func (p *Proxy) answerStored(x *exchange, r reply, found store.Found, use httpcache.Reuse) {
	x.out.Result = telemetry.ResultHit
	if use.Refresh {
		x.out.Result = telemetry.ResultStale
	}
	x.out.TTL = use.TTL
	x.out.Detail = telemetry.DetailRedis
	if found.Memory {
		x.out.Detail = telemetry.DetailMemory
	}
	p.answerEntry(x, r, age(use))
}

// age is the Age field of what is served from the store (RFC 9111 §5.1).
func age(use httpcache.Reuse) []string {
	return []string{strconv.FormatInt(int64(use.Age/time.Second), 10)}
}

// answerEntry answers with an entry. A body of which a piece is lost in the middle ends so that it cannot be taken for complete. age is
// the Age field; none for what the backend has just confirmed (RFC 9111 §5.1).
func (p *Proxy) answerEntry(x *exchange, r reply, age []string) {
	h := x.w.Header()
	for name, values := range r.entry.Fields() {
		h[name] = values
	}
	if len(age) > 0 {
		h["Age"] = age
	}
	p.finishHead(x, h)
	if r.unchanged {
		dropRepresentation(h)
		x.w.WriteHeader(http.StatusNotModified)
		return
	}
	if r.ranges.Answer != httpcache.RangeIgnored {
		abort(answerRange(x, h, r))
		return
	}
	if bodyAllowed(r.entry.Status) {
		h["Content-Length"] = []string{strconv.FormatInt(r.entry.Size(), 10)}
	}
	x.w.WriteHeader(r.entry.Status)
	if r.body != nil {
		abort(r.body.WriteRange(x.r.Context(), x.w, 0, r.entry.Size()))
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
