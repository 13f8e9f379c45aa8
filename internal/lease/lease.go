package lease

import (
	"crypto/rand"
	"sync"
	"time"

	"sidecar/internal/redisconn"
)

// DefaultTerm is how long a lease lasts unless it is renewed. Others wait for so long in vain for
// a holder that was killed.
const DefaultTerm = 2 * time.Second

// fenceTTL is how long the counter of fencing numbers outlives the last taker. Once it has
// expired, the server's clock alone makes the numbers grow.
const fenceTTL = 30 * 24 * time.Hour

// Leases takes leases on one Redis. It is safe for concurrent use.
type Leases struct {
	conn *redisconn.Conn
	term time.Duration
	mu   sync.Mutex // of the state of every lease: a hand-over changes two at once
}

// Options of Leases.
type Options struct {
	Conn *redisconn.Conn
	Term time.Duration // how long a lease lasts unless it is renewed; 0: DefaultTerm
}

// New returns leases on o.Conn.
func New(o Options) *Leases {
	if o.Term <= 0 {
		o.Term = DefaultTerm
	}
	return &Leases{conn: o.Conn, term: o.Term}
}

// A State says who holds a lease.
type State int

// The states.
const (
	None      State = iota // nobody was asked yet, or this process has it no longer
	Held                   // this process
	Elsewhere              // another holder, when Redis was asked
)

// A Request says which lease is wanted.
type Request struct {
	Key string // of the lease in Redis
	// Counter is the key of the fencing numbers; "": the holder needs none. In Cluster it lies on
	// Key's slot.
	Counter string
}

// A Lease is one user's view of a lease. It is safe for concurrent use. Release ends it.
type Lease struct {
	leases  *Leases
	request Request
	arrived chan struct{} // closed when the lease was handed over to this one

	// Guarded by leases.mu:
	state  State
	holder string // who this is in Redis: a random one for each taking
	same   bool   // Elsewhere: the holder's note is ours
	fence  uint64
	sent   time.Time // when the taking was last made ready to be sent
	until  time.Time // Held: until then for certain
}

const holderSize = 16 // bytes

// New returns a lease that nobody was asked for yet: Take it, or send its Call.
func (l *Leases) New(r Request) *Lease {
	var holder [holderSize]byte
	// never fails; it ends the process where the system has no randomness
	_, _ = rand.Read(holder[:])
	return &Lease{leases: l, request: r, arrived: make(chan struct{}), holder: string(holder[:])}
}

// State is who holds the lease, as far as is known now. It is None for a nil Lease.
func (l *Lease) State() State {
	if l == nil {
		return None
	}
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	l.holds()
	return l.state
}

// holds reports whether l holds the lease for certain. A lease that has run out is lost for good.
// leases.mu is held.
func (l *Lease) holds() bool {
	if l.state == Held && !time.Now().Before(l.until) {
		l.state = None
	}
	return l.state == Held
}

// SameNote reports whether the holder elsewhere left the same note as this one would have.
func (l *Lease) SameNote() bool {
	if l == nil {
		return false
	}
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	return l.state == Elsewhere && l.same
}

// Fence is the fencing number of this holder, greater than that of each holder before it; 0 where
// none was asked for, or the lease was never held here.
func (l *Lease) Fence() uint64 {
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	return l.fence
}

// Key is the key of the lease in Redis. When it is gone, nobody holds the lease any more.
func (l *Lease) Key() string { return l.request.Key }

// Arrived is closed when the lease was handed over to l.
func (l *Lease) Arrived() <-chan struct{} { return l.arrived }

// HandTo makes the lease that l holds to's, which has found it Elsewhere and has not been
// released. It reports whether it did. At any time one of the two has the lease and the other has
// not, so exactly one renews it and gives it back:
//
//  1. a member of a group takes the lease, the group's leader finds it Elsewhere;
//  2. the member hands it to the leader, and at the same moment its client leaves, and it releases
//     its own lease;
//  3. if the release came first, nothing is handed over; if the hand-over did, the release finds
//     nothing to release.
func (l *Lease) HandTo(to *Lease) bool {
	if l == nil || to == nil {
		return false
	}
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	if !l.holds() || to.state != Elsewhere || l.request.Key != to.request.Key {
		return false
	}
	to.state, to.holder, to.fence, to.until = Held, l.holder, l.fence, l.until
	l.state = None
	close(to.arrived)
	return true
}
