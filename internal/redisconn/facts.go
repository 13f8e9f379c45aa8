package redisconn

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Times of the look at the server's settings.
const (
	factsEvery   = time.Minute
	factsTimeout = 2 * time.Second
	slowSince    = 10 * time.Minute // entries of the slow log that count
	slowEntries  = 64
)

// facts are the settings of the servers behind a connection.
type facts struct {
	servers []server
}

// A server is one of them. A field is its zero value if the server does not tell.
type server struct {
	runID     string
	version   string
	policy    string // maxmemory-policy
	maxMemory int64  // -1: unknown
	aof       string // "0", "1"
	slow      []string
}

// look looks at the settings of the servers from time to time, until ctx is done.
func (c *Conn) look(ctx context.Context) {
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	var last time.Time
	for {
		if (last.IsZero() || time.Since(last) > factsEvery) && c.Healthy() == nil {
			bounded, cancel := context.WithTimeout(ctx, factsTimeout)
			if found, err := c.ask(bounded); err == nil {
				c.facts.Store(found)
			}
			cancel()
			last = time.Now()
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// ask asks all servers.
func (c *Conn) ask(ctx context.Context) (*facts, error) {
	found := new(facts)
	err := c.Do(ctx, nil, "settings",
		func(ctx context.Context, client redis.UniversalClient) error {
			cluster, ok := client.(*redis.ClusterClient)
			if !ok {
				s, err := c.settings(ctx, client)
				found.servers = append(found.servers, s)
				return err
			}
			var mu sync.Mutex
			return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
				s, err := c.settings(ctx, node)
				mu.Lock()
				defer mu.Unlock()
				found.servers = append(found.servers, s)
				return err
			})
		})
	return found, err
}

func (c *Conn) settings(ctx context.Context, conn redis.Cmdable) (server, error) {
	info, err := conn.Info(ctx).Result()
	if forbidden(err) {
		return server{maxMemory: -1}, nil
	}
	if err != nil {
		return server{}, err
	}
	s := server{
		runID: infoField(info, "run_id"), version: infoField(info, "redis_version"),
		policy: infoField(info, "maxmemory_policy"), aof: infoField(info, "aof_enabled"),
	}
	if s.maxMemory, err = strconv.ParseInt(infoField(info, "maxmemory"), 10, 64); err != nil {
		s.maxMemory = -1
	}
	entries, err := conn.SlowLogGet(ctx, slowEntries).Result()
	if forbidden(err) {
		return s, nil
	}
	for _, e := range entries {
		if name := c.ours(e); name != "" && !slices.Contains(s.slow, name) {
			s.slow = append(s.slow, name)
		}
	}
	slices.Sort(s.slow)
	return s, err
}

// ours is the name of a slow command of the last minutes on one of our keys; "" for any other.
func (c *Conn) ours(e redis.SlowLog) string {
	if len(e.Args) == 0 || time.Since(e.Time) > slowSince {
		return ""
	}
	for _, arg := range e.Args[1:] {
		if strings.HasPrefix(arg, c.prefix) ||
			c.name == "jobs" && strings.HasPrefix(arg, "asynq:") {
			return strings.ToUpper(e.Args[0])
		}
	}
	return ""
}
