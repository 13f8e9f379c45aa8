package redisd

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Cluster is three primaries that share the slots between them.
type Cluster struct{ Nodes []*Server }

// clusterSlots is how many slots there are.
const clusterSlots = 16384

// StartCluster starts one that is stopped when the test ends.
func StartCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	for i := range 3 {
		node := Start(t, Config("cluster-enabled yes", "cluster-node-timeout 2000", "cluster-config-file nodes.conf"))
		c.Nodes = append(c.Nodes, node)
		for slot := i * clusterSlots / 3; slot < (i+1)*clusterSlots/3; slot += 4096 {
			node.Do("CLUSTER", "ADDSLOTSRANGE", slot, min(slot+4096, (i+1)*clusterSlots/3)-1)
		}
		if i > 0 {
			node.Do("CLUSTER", "MEET", c.Nodes[0].Host(), c.Nodes[0].Port())
		}
	}
	for deadline := time.Now().Add(startTimeout); !c.whole(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the cluster does not come together: %v", c.Nodes[0].Do("CLUSTER", "INFO"))
		}
	}
	return c
}

// whole reports whether every node knows all others, and sees all slots served.
func (c *Cluster) whole() bool {
	for _, node := range c.Nodes {
		info := fmt.Sprint(node.Do("CLUSTER", "INFO"))
		if !strings.Contains(info, "cluster_state:ok") || !strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d", len(c.Nodes))) {
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
