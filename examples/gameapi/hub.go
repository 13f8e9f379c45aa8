package main

import "sync"

// A hub wakes the followers of a session when it has new events. It carries no events: followers
// read them from the database, so a slow one misses nothing and delays nobody. The zero value is
// ready; it is safe for concurrent use.
type hub struct {
	mu        sync.Mutex
	followers map[string]map[chan struct{}]bool // by session
}

// follow returns a channel that has a value if there may be news since it was last read. Call stop
// at the end.
func (h *hub) follow(sessionID string) (news <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.followers == nil {
		h.followers = map[string]map[chan struct{}]bool{}
	}
	if h.followers[sessionID] == nil {
		h.followers[sessionID] = map[chan struct{}]bool{}
	}
	h.followers[sessionID][ch] = true
	return ch, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.followers[sessionID], ch)
		if len(h.followers[sessionID]) == 0 {
			delete(h.followers, sessionID)
		}
	}
}

// wake notifies the followers of the sessions.
func (h *hub) wake(sessionIDs ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range sessionIDs {
		for ch := range h.followers[id] {
			select {
			case ch <- struct{}{}:
			default: // an unread notification is pending, and covers this one
			}
		}
	}
}
