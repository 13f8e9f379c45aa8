package caller

import (
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// Bounds of the tokens that one set of keys has verified. There are two generations of them.
const (
	generationBytes  = 4 << 20
	generationTokens = 4096
	generationAge    = time.Minute
)

// A remembered holds the tokens that one set of keys has verified, under their whole text, so that
// no other token can ever be taken for one of them. It is safe for concurrent use.
//
// New tokens are young. When the young ones are too many or a minute old, they become the old ones,
// and those that were old are forgotten; a use makes an old token young again. So a token that is
// not used is out of memory after two minutes.
type remembered struct {
	mu         sync.RWMutex
	young, old map[string]*claimSet
	bytes      int         // that the young ones take
	turns      *time.Timer // runs while there are tokens; nil: it does not
	ended      bool
}

// get returns the claims of a token that was verified before and still holds.
func (r *remembered) get(token string, now time.Time) *claimSet {
	r.mu.RLock()
	c, isYoung := r.young[token]
	if c == nil {
		c = r.old[token]
	}
	r.mu.RUnlock()
	switch {
	case c == nil:
		return nil
	case !c.isCurrent(now):
		r.forget(token)
		return nil
	case !isYoung:
		r.put(token, c)
	}
	return c
}

// put remembers a token that was verified. One that alone takes more than a generation may is not
// remembered.
func (r *remembered) put(token string, c *claimSet) {
	cost := c.cost + len(token)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended || r.young[token] != nil || cost > generationBytes {
		return
	}
	if r.bytes+cost > generationBytes || len(r.young) == generationTokens {
		r.turn()
	}
	if r.young == nil {
		r.young = map[string]*claimSet{}
	}
	r.young[strings.Clone(token)] = c // token itself may keep a request's whole head alive
	r.bytes += cost
	if r.turns == nil {
		r.turns = time.AfterFunc(generationAge, r.age)
	}
}

// turn makes the young tokens the old ones. mu is held.
func (r *remembered) turn() {
	r.old, r.young, r.bytes = r.young, nil, 0
}

// age runs in the timer's goroutine, for as long as there are tokens.
func (r *remembered) age() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.turn(); r.old == nil || r.ended {
		r.turns = nil
		return
	}
	r.turns.Reset(generationAge)
}

func (r *remembered) forget(token string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.young[token]; c != nil {
		delete(r.young, token)
		r.bytes -= c.cost + len(token)
	}
	delete(r.old, token)
}

// end forgets all tokens, and remembers none from now on.
func (r *remembered) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended, r.young, r.old, r.bytes = true, nil, nil, 0
	if r.turns != nil {
		r.turns.Stop()
		r.turns = nil
	}
}

// Bytes that decoded JSON takes at most, beside the text: a test measures them.
const (
	claimSetCost = 512
	objectCost   = 400 // with room for eight members
	memberCost   = 128
	elementCost  = 64
)

// costOf is the memory that a decoded JSON value takes, in bytes: at most that much, and about.
func costOf(value any) int {
	switch v := value.(type) {
	case map[string]any:
		sum := objectCost
		for name, member := range v {
			sum += memberCost + len(name) + costOf(member)
		}
		return sum
	case []any:
		sum := elementCost
		for _, element := range v {
			sum += elementCost + costOf(element)
		}
		return sum
	case string:
		return len(v)
	case json.Number:
		return len(v)
	}
	return 0
}
