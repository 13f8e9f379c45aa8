package check

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A wire is one sidecar's way to Redis, which can be cut, stalled, and led to another server.
type wire struct {
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	target string
	cut    bool
	stall  time.Duration // of each piece on its way back
	conns  map[net.Conn]bool
}

func newWire(t *testing.T, target string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: l, target: target, conns: map[net.Conn]bool{}}
	w.running.Go(func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			w.running.Go(func() { w.carry(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.setCut(true)
		w.running.Wait()
	})
	return w
}

func (w *wire) addr() string { return w.listener.Addr().String() }

func (w *wire) carry(c net.Conn) {
	w.mu.Lock()
	target, cut := w.target, w.cut
	w.mu.Unlock()
	defer c.Close()
	if cut {
		return
	}
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	w.mu.Lock()
	w.conns[c], w.conns[far] = true, true
	w.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { _, _ = io.Copy(far, c); _ = far.Close() })
	buf := make([]byte, 64<<10)
	for {
		n, err := far.Read(buf)
		w.mu.Lock()
		stall := w.stall
		w.mu.Unlock()
		time.Sleep(stall) // the delay of the network
		if _, werr := c.Write(buf[:n]); err != nil || werr != nil {
			break
		}
	}
	_ = c.Close()
	both.Wait()
	w.mu.Lock()
	delete(w.conns, c)
	delete(w.conns, far)
	w.mu.Unlock()
}

// breakAll ends all connections. w.mu is held.
func (w *wire) breakAll() {
	for c := range w.conns {
		_ = c.Close()
	}
}

func (w *wire) setCut(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut = cut; cut {
		w.breakAll()
	}
}

func (w *wire) setStall(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stall = d
}

func (w *wire) lead(target string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.target = target
	w.breakAll()
}
