package jobs

import (
	"context"
	"errors"
	"sync"
)

// errCanceled ends an attempt whose job a client has canceled.
var errCanceled = errors.New("the job is canceled")

// held are the jobs that this process is at work on: from before an attempt begins until its
// outcome is recorded. It never begins a job that it holds, though asynq may give it the task
// again, and it ends when all are let go.
type held struct {
	mu     sync.Mutex
	jobs   map[string]holding
	ending bool
	idle   chan struct{} // closed when ending and empty
}

type holding struct {
	queue  string // in asynq; "" for a job whose task waits elsewhere
	cancel context.CancelCauseFunc
	slots  []slot // that it has taken
}

func newHeld() *held { return &held{jobs: map[string]holding{}, idle: make(chan struct{})} }

// begin holds a job. It returns the context of its attempt, which ends with parent or when the job
// is canceled. ok is false if it is held already, or if the process ends.
func (h *held) begin(parent context.Context, id, queue string) (ctx context.Context, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, has := h.jobs[id]; has || h.ending {
		return nil, false
	}
	ctx, cancel := context.WithCancelCause(parent)
	h.jobs[id] = holding{queue: queue, cancel: cancel}
	return ctx, true
}

func (h *held) end(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.jobs[id].cancel(nil)
	if delete(h.jobs, id); h.ending && len(h.jobs) == 0 {
		close(h.idle)
	}
}

// cancel ends the attempt of the job, if it is held.
func (h *held) cancel(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if held, ok := h.jobs[id]; ok {
		held.cancel(errCanceled)
	}
}

// count is the number of jobs that are held.
func (h *held) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.jobs)
}

// give notes the slots that a job that is held has taken.
func (h *held) give(id string, slots []slot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	held := h.jobs[id]
	held.slots = slots
	h.jobs[id] = held
}

// slots are those of all jobs that are held, by their ids.
func (h *held) slots() map[string][]slot {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string][]slot{}
	for id, held := range h.jobs {
		if len(held.slots) > 0 {
			out[id] = held.slots
		}
	}
	return out
}

// byQueue are the ids of the jobs that are held, by the name of their queue in asynq.
func (h *held) byQueue() map[string][]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string][]string{}
	for id, held := range h.jobs {
		out[held.queue] = append(out[held.queue], id)
	}
	return out
}

// close lets nothing more begin, and returns a channel that is closed when nothing is held any
// more. It is called once.
func (h *held) close() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ending = true; len(h.jobs) == 0 {
		close(h.idle)
	}
	return h.idle
}
