package lease

import "time"

// Until is until when l is held for certain.
func Until(l *Lease) time.Time {
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	return l.until
}

// RunOut lets the term of l end now.
func RunOut(l *Lease) {
	l.leases.mu.Lock()
	defer l.leases.mu.Unlock()
	l.until = time.Now()
}
