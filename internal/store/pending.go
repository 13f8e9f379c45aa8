package store

import (
	"sync"

	"sidecar/cachekeys"
)

// pending knows which keys have a store on its way, so that a request that comes right after an
// answer was complete finds it stored.
type pending struct {
	mu   sync.Mutex
	keys map[cachekeys.Digest]chan struct{}
}

func newPending() *pending { return &pending{keys: map[cachekeys.Digest]chan struct{}{}} }

// begin announces a store under the primary key; the function that it returns says that it is
// over. Of several stores under one key the latest is the one to wait for. The number of keys is
// bounded by the number of requests in flight and of stores under way.
func (p *pending) begin(primary cachekeys.Digest) (over func()) {
	done := make(chan struct{})
	p.mu.Lock()
	p.keys[primary] = done
	p.mu.Unlock()
	return func() {
		p.mu.Lock()
		if p.keys[primary] == done {
			delete(p.keys, primary)
		}
		p.mu.Unlock()
		close(done)
	}
}

// of returns a channel that is closed when the store under the key is over; nil if there is none.
func (p *pending) of(primary cachekeys.Digest) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	done, ok := p.keys[primary]
	if !ok {
		return nil
	}
	return done
}
