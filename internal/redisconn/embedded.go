package redisconn

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"sidecar/internal/config"
)

// Bounds of the embedded Redis.
const (
	embeddedClock = 100 * time.Millisecond // its keys expire only when its clock is moved
	embeddedCheck = 5 * time.Second        // how often its size is looked at
	embeddedBytes = 64 << 20               // of entries; beyond it all entries are dropped
)

// Embedded is a Redis in this process, for a first look and for tests of a deployment: nothing is
// shared, nothing survives a restart. It is safe for concurrent use.
type Embedded struct {
	server *miniredis.Miniredis
	drops  []string // prefixes of the keys that may be dropped at any time

	mu      sync.Mutex
	stopped bool
}

// StartEmbedded starts one on a free port of the loopback address. drops are prefixes of the keys
// that may be dropped when they take too much memory.
func StartEmbedded(drops ...string) (*Embedded, error) {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("embedded redis: %w", err)
	}
	return &Embedded{server: server, drops: drops}, nil
}

// Config is how it is reached.
func (e *Embedded) Config() config.Redis {
	host, port, _ := net.SplitHostPort(e.server.Addr())
	return config.Redis{Host: host, Port: port, Embedded: true}
}

// Run moves its clock and bounds its memory, until ctx is done.
func (e *Embedded) Run(ctx context.Context) {
	clock, check := time.NewTicker(embeddedClock), time.NewTicker(embeddedCheck)
	defer clock.Stop()
	defer check.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-clock.C:
			now := time.Now()
			e.server.FastForward(now.Sub(last))
			last = now
		case <-check.C:
			e.bound(embeddedBytes)
		}
	}
}

// bound drops all entries where they take more than limit bytes. Losing entries makes the cache
// colder and nothing else.
func (e *Embedded) bound(limit int) {
	db, total := e.server.DB(0), 0
	var entries []string
	for _, key := range db.Keys() {
		if !slices.ContainsFunc(e.drops,
			func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
			continue
		}
		entries = append(entries, key)
		if value, err := db.Get(key); err == nil {
			total += len(key) + len(value)
		}
	}
	if total <= limit {
		return
	}
	for _, key := range entries {
		db.Del(key)
	}
}

// Stop takes it away, as if it had died; its data stays. Stopping a stopped one does nothing.
func (e *Embedded) Stop() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.stopped {
		e.server.Close()
		e.stopped = true
	}
	return nil
}

// Restart brings it back on the same port.
func (e *Embedded) Restart() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.stopped {
		return nil
	}
	if err := e.server.Restart(); err != nil {
		return fmt.Errorf("embedded redis: %w", err)
	}
	e.stopped = false
	return nil
}
