package telemetry

import (
	"maps"
	"sync"
	"sync/atomic"
)

// A series has what is counted for each value of one label, made on its first use and then found
// without client_golang's own search, which takes longer than to count. The values come from a
// short list: they are never forgotten. It is safe for concurrent use.
type series[S any] struct {
	make func(value string) S

	adding sync.Mutex // held to replace known
	known  atomic.Pointer[map[string]S]
}

// of returns what is counted for the value.
func (s *series[S]) of(value string) S {
	if known := s.known.Load(); known != nil {
		if found, ok := (*known)[value]; ok {
			return found
		}
	}
	s.adding.Lock()
	defer s.adding.Unlock()
	more := map[string]S{}
	if known := s.known.Load(); known != nil {
		if found, ok := (*known)[value]; ok {
			return found
		}
		more = maps.Clone(*known)
	}
	more[value] = s.make(value)
	s.known.Store(&more)
	return more[value]
}
