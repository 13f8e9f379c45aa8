package e2e

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/redisd"
)

// slowed is the way to a Redis on which one command, and others sent with it, are delayed; none if
// the name is "".
func slowed(t *testing.T, target string, command *atomic.Pointer[string],
	wait time.Duration) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { _ = l.Close(); running.Wait() })
	running.Go(func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			far, err := net.Dial("tcp", target)
			if err != nil {
				_ = c.Close()
				continue
			}
			running.Go(func() { _, _ = io.Copy(c, far); _ = c.Close() })
			running.Go(func() {
				defer far.Close()
				buf := make([]byte, 64<<10)
				for {
					n, err := c.Read(buf)
					if name := command.Load(); name != nil && *name != "" &&
						bytes.Contains(bytes.ToLower(buf[:n]), []byte(*name)) {
						time.Sleep(wait) // the slowness that the test is about
					}
					if _, werr := far.Write(buf[:n]); err != nil || werr != nil {
						return
					}
				}
			})
		}
	})
	return l.Addr().String()
}

// A Redis that answers slowly to one command only makes the cache colder, never wrong.
func TestARedisThatIsSlowToOneCommandMakesTheCacheColderAndNeverWrong(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"evalsha", "mget", "\r\nset\r\n", "publish", "info"} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			api, _ := counting(t, "")
			r := redisd.Start(t)
			var slow atomic.Pointer[string]
			s := &stack{t: t, redis: r, api: api}
			s.sidecar, s.url, s.ops = startSidecar(t, api,
				slowed(t, r.Addr(), &slow, 700*time.Millisecond), policiesFile(t, memoryPolicies),
				hasty("BREAKER_TIMEOUT=300ms")...)
			s.awaitCaching()
			s.awaitMemory("/items/1")
			slow.Store(&command)
			for range 8 {
				old := s.get("/items/1")
				if a := do(t, http.MethodPut, s.url+"/items/1", "x",
					sameHost); a.status != http.StatusOK {
					t.Fatalf("PUT: %d %s", a.status, a.body)
				}
				if a := s.get("/items/1"); a.status != http.StatusOK ||
					string(a.body) == string(old.body) {
					t.Fatalf("after a write: %d %q %s", a.status, a.cache(), a.body)
				}
			}
			none := ""
			slow.Store(&none)
			s.awaitMemory("/items/1")
		})
	}
}
