package rfc

import (
	"net/http"
	"slices"
	"time"
)

type steps []step

// A step is one request and its outcome.
type step struct {
	method, suffix, body string
	fields               []string
	wait                 time.Duration // since the last answer of the origin
	replies              []reply       // to the requests that the origin has to get, in this order
	optional             bool          // the origin may be asked and need not
	behind               bool          // it is asked after the client has its answer
	count                int           // how often the client asks; 0: once
	tries                bool          // until it holds: for effects of another request
	hasty                bool          // the next step follows at once, stored or not

	status   int      // 0: that of the answer served
	gets     []string // fields of the answer: "Name: value", or "Name:" for one that is not there
	oneOf    []string // one of these bodies has to come
	from     int      // the step, from 1, whose body is served; 0: that of the last whole answer
	broken   bool     // the answer has to end too early
	younger  int      // bound of Age; 0: none
	older    int      // at least so much Age
	says     []string // parts of Cache-Status
	trailers []string
}

func request(method string, fields ...string) step { return step{method: method, fields: fields} }
func get(fields ...string) step                    { return request(http.MethodGet, fields...) }
func head(fields ...string) step                   { return request(http.MethodHead, fields...) }
func post(fields ...string) step                   { return request(http.MethodPost, fields...) }

// at appends to the case's path.
func (s step) at(suffix string) step { s.suffix = suffix; return s }

// after waits until a lifetime that began with the origin's last answer is over.
func (s step) after(lifetime time.Duration) step { s.wait = lifetime + past; return s }

// forwarded says that the origin is asked once for each reply.
func (s step) forwarded(replies ...reply) step { s.replies = replies; return s }

// either says that the origin may be asked, and its answer then.
func (s step) either(r reply) step { s.replies, s.optional = []reply{r}, true; return s }

// refreshed says that the client is answered first, and the origin asked once behind that answer.
func (s step) refreshed(r reply) step { s.replies, s.behind = []reply{r}, true; return s }

// perhaps says that the request need not be forwarded.
func (s step) perhaps() step { s.optional = true; return s }

// times has the client ask so often before the origin answers anything behind its back.
func (s step) times(n int) step { s.count = n; return s }

// sending gives the request a body.
func (s step) sending(body string) step { s.body = body; return s }

// fails says that the client gets an error of the sidecar's own.
func (s step) fails() step { s.status = gatewayError; return s }

// soon repeats the request until all is as it should be.
func (s step) soon() step { s.tries = true; return s }

// thenAtOnce says that the fetched answer has to be there for a request that follows at once.
func (s step) thenAtOnce() step { s.hasty = true; return s }

func (s step) is(status int) step { s.status = status; return s }
func (s step) with(fields ...string) step {
	s.gets = append(slices.Clone(s.gets), fields...)
	return s
}
func (s step) saying(parts ...string) step    { s.says = parts; return s }
func (s step) bodyOf(n int) step              { s.from = n; return s }
func (s step) content(bodies ...string) step  { s.oneOf = bodies; return s }
func (s step) cut() step                      { s.broken = true; return s }
func (s step) aged(least, below int) step     { s.older, s.younger = least, below; return s }
func (s step) trailing(fields ...string) step { s.trailers = fields; return s }
func (s step) without(names ...string) step {
	for _, name := range names {
		s = s.with(name + ":")
	}
	return s
}

// last is the step's last reply, if there is one.
func (s step) last() (r reply, ok bool) {
	if len(s.replies) == 0 {
		return reply{}, false
	}
	return s.replies[len(s.replies)-1], true
}

// gatewayError stands for 502, 503 or 504: the RFCs leave the choice.
const gatewayError = 599 + 1
