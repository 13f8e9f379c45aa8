package redisconn

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Stats are a pool's statistics since the start, with the names of /status.
type Stats struct {
	Connected  bool   `json:"connected"`
	Error      string `json:"error,omitempty"` // why it is not
	Hits       uint32 `json:"hits"`
	Misses     uint32 `json:"misses"`
	Timeouts   uint32 `json:"timeouts"` // operations that got no connection in their time
	TotalConns uint32 `json:"total_conns"`
	IdleConns  uint32 `json:"idle_conns"`
	StaleConns uint32 `json:"stale_conns"`
	// PoolSize bounds TotalConns; in Cluster for each node.
	PoolSize int `json:"pool_size"`
	// OpenConns are all sockets that are held: those of the pool, and of subscriptions.
	OpenConns int `json:"open_conns"`
}

// Stats reads the pool. It waits for nothing.
func (c *Conn) Stats() Stats {
	healthy := c.Healthy()
	s := Stats{Connected: healthy == nil, PoolSize: c.poolSize(), OpenConns: c.open.size()}
	if healthy != nil {
		s.Error = healthy.Error()
		if c.Cluster() {
			return s // the library would look for the nodes first
		}
	}
	p := c.client.PoolStats()
	s.Hits, s.Misses, s.Timeouts = p.Hits, p.Misses, p.Timeouts+c.starved.Load()
	s.TotalConns, s.IdleConns, s.StaleConns = p.TotalConns, p.IdleConns, p.StaleConns
	return s
}

// noteStarved counts an operation whose time was over while all connections were in use. The
// library itself counts only a wait of some seconds, for which no request has the time. The pools
// of a Cluster, one for each node, are not looked at.
func (c *Conn) noteStarved(err error) {
	client, single := c.client.(*redis.Client)
	// one that was sent ends with the error of its socket
	if !single || !errors.Is(err, context.DeadlineExceeded) {
		return
	}
	p := client.PoolStats()
	if p.IdleConns == 0 && int(p.TotalConns) >= client.Options().PoolSize {
		c.starved.Add(1)
	}
}

// poolSize is the bound of the pool.
func (c *Conn) poolSize() int {
	switch client := c.client.(type) {
	case *redis.Client:
		return client.Options().PoolSize
	case *redis.ClusterClient:
		return client.Options().PoolSize
	}
	return 0
}

// String is the state's name in /status.
func (s State) String() string {
	return [...]string{"closed", "half-open", "open"}[s]
}
