package redisd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/config"
)

// A Cluster is three primaries that share the slots between them.
type Cluster struct {
	t        testing.TB
	Nodes    []*Server
	replicas []*Server
}

// clusterSlots is how many slots there are.
const clusterSlots = 16384

// StartCluster starts one that is stopped when the test ends.
func StartCluster(t testing.TB, opts ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for i := range 3 {
		node := c.node(opts)
		c.Nodes = append(c.Nodes, node)
		for slot := i * clusterSlots / 3; slot < (i+1)*clusterSlots/3; slot += 4096 {
			node.Do("CLUSTER", "ADDSLOTSRANGE", slot, min(slot+4096, (i+1)*clusterSlots/3)-1)
		}
		if i > 0 {
			node.Do("CLUSTER", "MEET", c.Nodes[0].Host(), c.Nodes[0].Port())
		}
	}
	c.await(c.whole)
	return c
}

func (c *Cluster) node(opts []Option) *Server {
	c.t.Helper()
	return Start(c.t,
		append(opts, Config("cluster-enabled yes", "cluster-node-timeout 2000",
			"cluster-config-file nodes.conf"))...)
}

func (c *Cluster) await(done func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(startTimeout); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("the cluster does not come that far: %v", c.Nodes[1].Do("CLUSTER", "NODES"))
		}
	}
}

// AddReplica starts a replica of the nth primary.
func (c *Cluster) AddReplica(n int, opts ...Option) *Server {
	c.t.Helper()
	replica := c.node(opts)
	replica.Do("CLUSTER", "MEET", c.Nodes[0].Host(), c.Nodes[0].Port())
	c.replicas = append(c.replicas, replica)
	c.await(c.whole)
	replica.Do("CLUSTER", "REPLICATE", c.Nodes[n].Do("CLUSTER", "MYID"))
	c.await(func() bool {
		return strings.Contains(fmt.Sprint(replica.Do("INFO", "replication")),
			"master_link_status:up")
	})
	return replica
}

// AwaitPrimary waits until a node says that it is a primary and that the Cluster is whole.
func (c *Cluster) AwaitPrimary(node *Server) {
	c.t.Helper()
	c.await(func() bool {
		return strings.Contains(fmt.Sprint(node.Do("INFO", "replication")), "role:master") &&
			strings.Contains(fmt.Sprint(node.Do("CLUSTER", "INFO")), "cluster_state:ok")
	})
}

// Move moves a slot and its keys from one primary to another.
func (c *Cluster) Move(slot int64, from, to int) {
	c.t.Helper()
	source, target := c.Nodes[from], c.Nodes[to]
	target.Do("CLUSTER", "SETSLOT", slot, "IMPORTING", source.Do("CLUSTER", "MYID"))
	source.Do("CLUSTER", "SETSLOT", slot, "MIGRATING", target.Do("CLUSTER", "MYID"))
	for {
		keys, _ := source.Do("CLUSTER", "GETKEYSINSLOT", slot, 10).([]any)
		if len(keys) == 0 {
			break
		}
		source.Do(append([]any{"MIGRATE", target.Host(), target.Port(), "", 0, 5000, "KEYS"},
			keys...)...)
	}
	for _, node := range []*Server{target, source, c.Nodes[3-from-to]} {
		node.Do("CLUSTER", "SETSLOT", slot, "NODE", target.Do("CLUSTER", "MYID"))
	}
}

// Owner is the number of the primary that serves a key at the start, and its slot.
func (c *Cluster) Owner(key string) (node int, slot int64) {
	c.t.Helper()
	slot, _ = c.Nodes[0].Do("CLUSTER", "KEYSLOT", key).(int64)
	return min(int(slot)*3/clusterSlots, 2), slot
}

// whole reports whether every node knows all others, and sees all slots served.
func (c *Cluster) whole() bool {
	for _, node := range slices.Concat(c.Nodes, c.replicas) {
		info := fmt.Sprint(node.Do("CLUSTER", "INFO"))
		if !strings.Contains(info, "cluster_state:ok") ||
			!strings.Contains(info,
				fmt.Sprintf("cluster_known_nodes:%d", len(c.Nodes)+len(c.replicas))) {
			return false
		}
	}
	return true
}

// Addrs is a comma list of all nodes, host:port.
func (c *Cluster) Addrs() string {
	addrs := make([]string, len(c.Nodes))
	for i, node := range c.Nodes {
		addrs[i] = node.Addr()
	}
	return strings.Join(addrs, ",")
}

// Redis is how the Cluster is reached.
func (c *Cluster) Redis() config.Redis { return config.Redis{Cluster: config.Hosts(c.Addrs())} }

// Client returns a client for the test's own commands. It is closed when the test ends.
func (c *Cluster) Client(t testing.TB) *redis.ClusterClient {
	client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: strings.Split(c.Addrs(), ",")})
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Keys are all keys of all nodes.
func (c *Cluster) Keys(t testing.TB) (keys []string) {
	t.Helper()
	var mu sync.Mutex
	client := c.Client(t)
	err := client.ForEachMaster(t.Context(), func(ctx context.Context, node *redis.Client) error {
		found, err := node.Keys(ctx, "*").Result()
		mu.Lock()
		defer mu.Unlock()
		keys = append(keys, found...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
