// Package faultproxy carries TCP connections to a server, and lets a test cut, delay and divert
// them.
package faultproxy

import (
	"net"
	"sync"
	"testing"
	"time"
)

// A Proxy is a client's way to a server. It is safe for concurrent use.
type Proxy struct {
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	target string
	cut    bool
	stall  time.Duration // of each piece on its way back
	meddle Meddler
	conns  map[net.Conn]bool
}

// A Meddler decides on one piece that passes, towards the client (back) or towards the server: how
// long it is held up, and whether the connection breaks in its place. It is called by many
// goroutines.
type Meddler func(back bool) (hold time.Duration, lose bool)

// Start starts a proxy to target, host:port. It is stopped when the test ends.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	p.running.Go(func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			p.running.Go(func() { p.carry(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.SetMeddler(nil)
		p.SetCut(true)
		p.running.Wait()
	})
	return p
}

// Addr is where clients connect, host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

func (p *Proxy) carry(c net.Conn) {
	p.mu.Lock()
	target, cut := p.target, p.cut
	p.mu.Unlock()
	defer c.Close()
	if cut {
		return
	}
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	p.mu.Lock()
	p.conns[c], p.conns[far] = true, true
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pass(far, c, false); _ = far.Close() })
	p.pass(c, far, true)
	_ = c.Close()
	both.Wait()
	p.mu.Lock()
	delete(p.conns, c)
	delete(p.conns, far)
	p.mu.Unlock()
}

// pass carries one direction until it ends. A piece that is held up still arrives when its sender
// has gone.
func (p *Proxy) pass(to, from net.Conn, back bool) {
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		p.mu.Lock()
		stall, meddle := p.stall, p.meddle
		p.mu.Unlock()
		if !back {
			stall = 0
		}
		if meddle != nil && n > 0 {
			hold, lose := meddle(back)
			if lose {
				return
			}
			stall += hold
		}
		time.Sleep(stall) // the delay of the network
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// breakAll ends all connections. p.mu is held.
func (p *Proxy) breakAll() {
	for c := range p.conns {
		_ = c.Close()
	}
}

// SetCut ends all connections and refuses new ones, or ends that.
func (p *Proxy) SetCut(cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cut = cut; cut {
		p.breakAll()
	}
}

// SetStall delays each piece on its way back to the client.
func (p *Proxy) SetStall(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stall = d
}

// SetMeddler lets m decide on each piece; nil ends that.
func (p *Proxy) SetMeddler(m Meddler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.meddle = m
}

// Lead ends all connections; new ones go to target.
func (p *Proxy) Lead(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
	p.breakAll()
}

// Divert leads new connections to target and keeps those that there are.
func (p *Proxy) Divert(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}
