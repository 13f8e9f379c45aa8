package jobhook

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/internal/jobs"
)

const (
	// lookAgain is how often a job that somebody waits for is looked at without news of it.
	lookAgain = 5 * time.Second
	// eventStay bounds an event stream. Its client comes again by itself.
	eventStay = 30 * time.Minute
	// eventIdle is how often a comment is sent, so that nobody on the way takes the stream for
	// dead.
	eventIdle = 15 * time.Second
)

// End lets all go who wait for changes. Those who come later do not wait. It is called once.
func (h *Hook) End() { close(h.ending) }

// awaitEnd waits until the job is over, for at most d, and returns its last record that could be
// read. It returns at once where too many wait already.
func (h *Hook) awaitEnd(ctx context.Context, record jobs.Record, d time.Duration) jobs.Record {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	changed, stop, ok := h.Jobs.Watch(record.ID)
	if !ok {
		return record
	}
	defer stop()
	for {
		if now, err := h.read(ctx, record.ID); err == nil {
			record = now
		}
		if record.Status.Final() || !h.awaitNews(ctx, changed, lookAgain) {
			return record
		}
	}
}

// awaitNews waits for a change, or for d. It returns false when the wait is over.
func (h *Hook) awaitNews(ctx context.Context, changed <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-h.ending:
		return false
	case <-changed:
	case <-timer.C:
	}
	return true
}

func (h *Hook) read(ctx context.Context, id string) (jobs.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	return h.Jobs.Job(ctx, nil, id)
}

// wantsEvents reports whether Accept names event streams.
func wantsEvents(r *http.Request) bool {
	members, _ := httpfield.Members(r.Header["Accept"])
	for _, m := range members {
		what, _, _ := strings.Cut(m, ";")
		if strings.EqualFold(strings.TrimSpace(what), "text/event-stream") {
			return true
		}
	}
	return false
}

// events streams the changes of a job as server-sent events, until it is over. A client that has
// seen the last one, and comes again as EventSource does, gets 204, which ends that.
func (h *Hook) events(w http.ResponseWriter, r *http.Request, record jobs.Record) {
	if record.Status.Final() && r.Header.Get("Last-Event-ID") == eventID(record) {
		w.Header().Set("Cache-Control", "no-store")
		h.sign(w.Header(), "")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), eventStay)
	defer cancel()
	changed, stop, ok := h.Jobs.Watch(record.ID)
	if !ok {
		h.unavailable(w, "", "Too many clients wait for jobs. Ask for the status instead.")
		return
	}
	defer stop()
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // nginx would hold the stream back
	h.sign(header, "")
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		h.stream(ctx, w, record, changed)
	}
}

// stream sends an event for each state of the job that is seen, until it is over.
func (h *Hook) stream(ctx context.Context, w http.ResponseWriter, record jobs.Record,
	changed <-chan struct{}) {
	control, sent, last := http.NewResponseController(w), "", time.Now()
	for {
		text := ""
		switch id := eventID(record); {
		case id != sent:
			text, sent = "event: status\nid: "+id+"\ndata: "+string(h.document(record))+"\n\n", id
		case time.Since(last) >= eventIdle:
			text = ":\n\n"
		}
		if text != "" {
			if _, err := w.Write([]byte(text)); err != nil || control.Flush() != nil {
				return
			}
			last = time.Now()
		}
		if record.Status.Final() || !h.awaitNews(ctx, changed, lookAgain) {
			return
		}
		if now, err := h.read(ctx, record.ID); err == nil {
			record = now
		}
	}
}

// eventID differs for each state that a client can tell from another.
func eventID(r jobs.Record) string {
	return fmt.Sprintf("%s-%d-%d", r.Status, r.Attempts, r.Failures)
}
