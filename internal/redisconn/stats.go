package redisconn

// Stats are a pool's statistics since the start, with the names of /status.
type Stats struct {
	Connected  bool   `json:"connected"`
	Hits       uint32 `json:"hits"`
	Misses     uint32 `json:"misses"`
	Timeouts   uint32 `json:"timeouts"`
	TotalConns uint32 `json:"total_conns"`
	IdleConns  uint32 `json:"idle_conns"`
	StaleConns uint32 `json:"stale_conns"`
}

// Stats reads the pool. It waits for nothing.
func (c *Conn) Stats() Stats {
	s := c.client.PoolStats()
	return Stats{
		Connected: c.Healthy() == nil, Hits: s.Hits, Misses: s.Misses, Timeouts: s.Timeouts,
		TotalConns: s.TotalConns, IdleConns: s.IdleConns, StaleConns: s.StaleConns,
	}
}

// String is the state's name in /status.
func (s State) String() string {
	return [...]string{"closed", "half-open", "open"}[s]
}
