package store

// Running is how many goroutines s has begun that have not ended.
func (s *Store) Running() int {
	s.stores.mu.Lock()
	defer s.stores.mu.Unlock()
	return s.stores.running
}
