package store

// Kept is how many look-ups are kept.
func (s *Store) Kept() int { return s.decoded.Stats().Entries }

// Running is how many goroutines s has begun that have not ended.
func (s *Store) Running() int {
	s.stores.mu.Lock()
	defer s.stores.mu.Unlock()
	return s.stores.running
}
