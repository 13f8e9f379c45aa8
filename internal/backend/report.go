package backend

import (
	"context"
	"math"
	"net/http"
	"sync/atomic"
	"time"
)

// An Outcome is the outcome of one request to the backend: a label from a closed list.
type Outcome int

// The outcomes: the classes of status, and no answer.
const (
	Informational1xx Outcome = iota // a switch of protocols
	Success2xx
	Redirection3xx
	ClientError4xx
	ServerError5xx // and unknown classes (RFC 9110 §15)
	Failed         // no answer
	Canceled       // the client left before there was one, or its content could not be read
	outcomes
)

// String is the outcome as a label.
func (o Outcome) String() string {
	return [...]string{"1xx", "2xx", "3xx", "4xx", "5xx", "failed", "canceled"}[o]
}

// outcomeOf is the outcome of a request that was sent under ctx.
func outcomeOf(ctx context.Context, resp *http.Response, err error) Outcome {
	switch {
	case err != nil && (ctx.Err() != nil || IsUnread(err)):
		return Canceled
	case err != nil:
		return Failed
	case resp.StatusCode >= 600:
		return ServerError5xx
	}
	return Outcome(resp.StatusCode/100 - 1)
}

// A Report is the state of the backend, as its requests have shown it.
type Report struct {
	// Reachable is nil before the first of them.
	Reachable  *bool      `json:"reachable"`
	LastAnswer *time.Time `json:"last_answer,omitempty"`
	// of the last one that got no answer
	LastError   string            `json:"last_error,omitempty"`
	LastErrorAt *time.Time        `json:"last_error_at,omitempty"`
	Answers     map[string]uint64 `json:"answers"` // by class of status; failed, canceled
	// ErrorsInARow is how many of the last answers were 5xx without another between them, since
	// ErrorsSince.
	ErrorsInARow uint64     `json:"errors_in_a_row,omitempty"`
	ErrorsSince  *time.Time `json:"errors_since,omitempty"`
	// RecentMS is the mean time to the head of an answer, of about the last hundred.
	RecentMS float64 `json:"recent_ms"`
}

// A record counts the requests to the backend.
type record struct {
	counts [outcomes]atomic.Uint64
	recent atomic.Uint64 // bits of the mean in seconds
	answer atomic.Int64  // of the last answer, Unix nanoseconds
	fault  atomic.Pointer[fault]
	series atomic.Pointer[series]
}

// A series is of answers 5xx without another between them.
type series struct {
	since time.Time
	count atomic.Uint64
}

type fault struct {
	text string
	at   time.Time
}

// weight is that of one answer in the mean.
const weight = 0.02

// note counts a request that began at start.
func (r *record) note(o Outcome, start, now time.Time, err error) {
	switch r.counts[o].Add(1); o {
	case Canceled:
	case Failed:
		r.failed(err, now)
	default:
		r.answer.Store(now.UnixNano())
		r.took(now.Sub(start))
		r.continues(o == ServerError5xx, now)
	}
}

// continues makes an answer part of the series of errors, or ends that.
func (r *record) continues(isError bool, now time.Time) {
	s := r.series.Load()
	switch {
	case !isError:
		if s != nil {
			r.series.Store(nil)
		}
		return
	case s == nil:
		r.series.CompareAndSwap(nil, &series{since: now})
		if s = r.series.Load(); s == nil { // another answer has just ended it
			return
		}
	}
	s.count.Add(1)
}

// failed notes that the backend did not answer.
func (r *record) failed(err error, now time.Time) { r.fault.Store(&fault{err.Error(), now}) }

// took makes a time part of the mean.
func (r *record) took(d time.Duration) {
	for {
		before := r.recent.Load()
		mean := math.Float64frombits(before)
		if mean == 0 {
			mean = d.Seconds()
		}
		mean += weight * (d.Seconds() - mean)
		if r.recent.CompareAndSwap(before, math.Float64bits(mean)) {
			return
		}
	}
}

// Report returns the present state.
func (b *Backend) Report() Report {
	r := &b.record
	out := Report{Answers: map[string]uint64{}}
	for o := range outcomes {
		if n := r.counts[o].Load(); n > 0 {
			out.Answers[o.String()] = n
		}
	}
	out.RecentMS = math.Round(math.Float64frombits(r.recent.Load())*1e6) / 1e3
	if s := r.series.Load(); s != nil {
		since := s.since.UTC()
		out.ErrorsInARow, out.ErrorsSince = s.count.Load(), &since
	}
	answered, fault := r.answer.Load(), r.fault.Load()
	if answered != 0 {
		at := time.Unix(0, answered).UTC()
		out.LastAnswer, out.Reachable = &at, new(bool)
		*out.Reachable = true
	}
	if fault != nil {
		at := fault.at.UTC()
		out.LastError, out.LastErrorAt = fault.text, &at
		reachable := answered > fault.at.UnixNano()
		out.Reachable = &reachable
	}
	return out
}
