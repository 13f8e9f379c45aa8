// Package faultproxy carries TCP connections to a server, and lets a test cut, delay and divert
// them.
package faultproxy

import (
	"io"
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
	conns  map[net.Conn]bool
}

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
	both.Go(func() { _, _ = io.Copy(far, c); _ = far.Close() })
	buf := make([]byte, 64<<10)
	for {
		n, err := far.Read(buf)
		p.mu.Lock()
		stall := p.stall
		p.mu.Unlock()
		time.Sleep(stall) // the delay of the network
		if _, werr := c.Write(buf[:n]); err != nil || werr != nil {
			break
		}
	}
	_ = c.Close()
	both.Wait()
	p.mu.Lock()
	delete(p.conns, c)
	delete(p.conns, far)
	p.mu.Unlock()
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
