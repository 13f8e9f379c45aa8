package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sidecar/test/faultproxy"
	"sidecar/test/redisd"
)

// A sidecar is frozen while its Redis fails over and its connections to the old primary stay up.
// When it thaws, requests wait for it already.
func TestASidecarThatWasFrozenAcrossAFailoverServesNothingOld(t *testing.T) {
	t.Parallel()
	api, _ := counting(t, "")
	old, promoted := redisd.Start(t), redisd.Start(t)
	promoted.Do("REPLICAOF", old.Host(), old.Port())
	awaitThat(t, "the replica follows", func() bool {
		return strings.Contains(fmt.Sprint(promoted.Do("INFO", "replication")),
			"master_link_status:up")
	})
	var stacks [2]*stack
	var ways [2]*faultproxy.Proxy
	for i := range stacks {
		ways[i] = faultproxy.Start(t, old.Addr())
		s := &stack{t: t, api: api}
		s.sidecar, s.url, s.ops = startSidecar(t, api, ways[i].Addr(),
			policiesFile(t, itemPolicies), "BREAKER_TIMEOUT=300ms")
		s.awaitCaching()
		stacks[i] = s
	}
	writer, reader := stacks[0], stacks[1]
	var before answer
	awaitThat(t, "there is a hit",
		func() bool { before = reader.get("/items/1"); return before.hit() })

	reader.sidecar.Signal(syscall.SIGSTOP)
	promoted.Do("REPLICAOF", "NO", "ONE")
	ways[1].Divert(promoted.Addr())
	ways[0].Lead(promoted.Addr())
	if a := do(t, http.MethodPut, writer.url+"/items/1", "x", sameHost); a.status != http.StatusOK {
		t.Fatalf("PUT: %d %s", a.status, a.body)
	}
	time.Sleep(1100 * time.Millisecond) // the bound after a failover

	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for range 50 {
				if a := reader.get("/items/1"); string(a.body) == string(before.body) {
					t.Errorf("%q %s: the answer from before the write", a.cache(), a.body)
				}
			}
		})
	}
	reader.sidecar.Signal(syscall.SIGCONT)
	asking.Wait()
	awaitThat(t, "there is a hit again", func() bool { return reader.get("/items/1").hit() })
}
