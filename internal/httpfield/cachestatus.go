package httpfield

import (
	"strconv"
	"strings"
	"time"
)

// A CacheStatus is one member of the Cache-Status field (RFC 9211), written by one cache.
type CacheStatus struct {
	Cache     string        // the cache's name, printable ASCII
	Hit       bool          // from the store; omits Fwd, FwdStatus, Stored and Collapsed
	Fwd       string        // why it was forwarded: uri-miss, stale, bypass, method, …
	FwdStatus int           // the next hop's status if the answer has another; 0: omitted
	TTL       time.Duration // remaining freshness lifetime; negative if it is over
	HasTTL    bool
	Stored    bool   // the response is stored
	Collapsed bool   // the response came from another request's backend request
	Key       string // "": omitted
	Detail    string // "": omitted
}

// String is the member as it is sent, "sidecar; hit; ttl=287; detail=memory": a structured-field
// item (RFC 9651) with tokens where possible, else strings. A Key or Detail that is not ASCII is
// left out, since neither form can hold it.
func (s CacheStatus) String() string {
	b := make([]byte, 0, 96)
	b = appendBare(b, s.Cache)
	if s.Hit {
		b = append(b, "; hit"...)
	} else {
		b = s.appendForward(b)
	}
	if s.HasTTL {
		b = append(b, "; ttl="...)
		b = strconv.AppendInt(b, int64(floorSeconds(s.TTL)), 10)
	}
	if isASCII(s.Key) && s.Key != "" {
		b = appendString(append(b, "; key="...), s.Key)
	}
	if isASCII(s.Detail) && s.Detail != "" {
		b = appendBare(append(b, "; detail="...), s.Detail)
	}
	return string(b)
}

func (s CacheStatus) appendForward(b []byte) []byte {
	if isStructuredToken(s.Fwd) {
		b = append(append(b, "; fwd="...), s.Fwd...)
	}
	if s.FwdStatus > 0 {
		b = strconv.AppendInt(append(b, "; fwd-status="...), int64(s.FwdStatus), 10)
	}
	if s.Stored {
		b = append(b, "; stored"...)
	}
	if s.Collapsed {
		b = append(b, "; collapsed"...)
	}
	return b
}

// AppendCacheStatus returns the field lines of a response that arrived with values and then passed
// this cache, which adds itself at the end (§2). The member gets a line of its own, so that a
// malformed line from upstream does not spoil it. values is not changed.
func AppendCacheStatus(values []string, s CacheStatus) []string {
	return append(values[:len(values):len(values)], s.String())
}

// floorSeconds rounds down: -0.5 s is -1, not 0.
func floorSeconds(d time.Duration) time.Duration {
	if d < 0 {
		d -= time.Second - 1
	}
	return d / time.Second
}

// appendBare writes s as a token if it is one, else as a string.
func appendBare(b []byte, s string) []byte {
	if isStructuredToken(s) {
		return append(b, s...)
	}
	return appendString(b, s)
}

// appendString writes s, which is ASCII, as a structured-field string (RFC 9651 §3.3.3).
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// isStructuredToken checks for a token of structured fields (RFC 9651 §3.3.4), which differs from
// HTTP's token.
func isStructuredToken(s string) bool {
	if s == "" || !isAlpha(s[0]) && s[0] != '*' {
		return false
	}
	for i := range len(s) {
		if !isTchar(s[i]) && strings.IndexByte(":/", s[i]) < 0 {
			return false
		}
	}
	return true
}

// isASCII reports whether s is printable ASCII, as a structured-field string must be.
func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
