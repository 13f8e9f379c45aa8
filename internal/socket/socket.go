// Package socket reads from and writes to sockets at a lower price than package net does.
//
// Go's runtime takes a system call for one that may block: its monitor looks every 20 µs after
// those under way, and gives the processor of one that lasts to another thread. A socket of
// package net is non-blocking, so that no call on it waits for the other side, but one over the
// loopback interface does the work of both sides, and often takes that long. Here the runtime is
// not told of these calls.
package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// A Conn is a connection of package net over TCP or a Unix socket. Its methods behave as those of
// package net do.
type Conn struct {
	net.Conn
	raw syscall.RawConn
	in  direction
	out direction
}

// maxCall is how many bytes one system call moves at the most: until it returns, its processor does
// nothing else, and the garbage collector waits for it.
const maxCall = 256 << 10

// A direction is that of reading or that of writing.
type direction struct {
	mu   sync.Mutex                  // one call at a time, as in package net
	move func(fd uintptr) (end bool) // moves bytes until there is nothing to wait for
	try  func(fd uintptr) (end bool) // the same without waiting
	p    []byte                      // to fill, or to write
	all  Parts                       // to write without waiting
	n    int                         // how many bytes were moved
	err  error                       // of the system call
}

// New returns c as a Conn, or c itself if it is of another kind.
func New(c net.Conn) net.Conn {
	if !isCheap {
		return c
	}
	var raw syscall.RawConn
	var err error
	switch c := c.(type) {
	case *net.TCPConn:
		raw, err = c.SyscallConn()
	case *net.UnixConn:
		raw, err = c.SyscallConn()
	default:
		return c
	}
	if err != nil {
		return c
	}
	s := &Conn{Conn: c, raw: raw}
	s.in.move, s.in.try = s.in.read, s.in.readOnce
	s.out.move, s.out.try = s.out.write, s.out.writeOnce
	return s
}

// Read implements io.Reader.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	d := &c.in
	d.mu.Lock()
	defer d.mu.Unlock()
	d.p, d.n, d.err = p, 0, nil
	err := c.raw.Read(d.move)
	d.p = nil
	switch {
	case err != nil:
		return 0, named("read", err)
	case d.err != nil:
		return 0, c.failed("read", d.err)
	case d.n == 0:
		return 0, io.EOF
	}
	return d.n, nil
}

// TryRead is Read that does not wait: where nothing has come, neither bytes nor the end, its error
// is syscall.EAGAIN.
func (c *Conn) TryRead(p []byte) (int, error) {
	d := &c.in
	d.mu.Lock()
	defer d.mu.Unlock()
	d.p, d.n, d.err = p, 0, nil
	err := c.raw.Read(d.try)
	d.p = nil
	switch {
	case err != nil:
		return 0, err
	case d.err != nil:
		return 0, d.err
	case d.n == 0:
		return 0, io.EOF
	}
	return d.n, nil
}

// Write implements io.Writer.
func (c *Conn) Write(p []byte) (int, error) {
	d := &c.out
	d.mu.Lock()
	defer d.mu.Unlock()
	d.p, d.n, d.err = p, 0, nil
	err := c.raw.Write(d.move)
	d.p = nil
	switch {
	case err != nil:
		err = named("write", err)
	case d.err != nil:
		err = c.failed("write", d.err)
	}
	return d.n, err
}

// Parts are bytes to be written one behind the other. Some may be empty.
type Parts [3][]byte

// TryWrite writes as much of the parts as the system takes in one call. It does not wait, so that
// it may write nothing.
func (c *Conn) TryWrite(all Parts) (int, error) {
	d := &c.out
	d.mu.Lock()
	defer d.mu.Unlock()
	room := maxCall
	for i, p := range all {
		d.all[i] = p[:min(len(p), room)]
		room -= len(d.all[i])
	}
	d.n, d.err = 0, nil
	err := c.raw.Write(d.try)
	d.all = Parts{}
	switch {
	case err != nil:
		err = named("write", err)
	case d.err != nil && d.err != syscall.EAGAIN && d.err != syscall.EINTR:
		err = c.failed("write", d.err)
	}
	return d.n, err
}

func (d *direction) read(fd uintptr) (end bool) {
	for {
		d.n, d.err = read(fd, d.p)
		if d.err != syscall.EINTR {
			return d.err != syscall.EAGAIN
		}
	}
}

func (d *direction) readOnce(fd uintptr) (end bool) {
	d.read(fd)
	return true
}

func (d *direction) write(fd uintptr) (end bool) {
	for d.n < len(d.p) {
		n, err := write(fd, d.p[d.n:])
		d.n += n
		switch err {
		case nil, syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			d.err = err
			return true
		}
	}
	return true
}

func (d *direction) writeOnce(fd uintptr) (end bool) {
	d.n, d.err = writeParts(fd, &d.all)
	return true
}

// named is an error of the poller, whose calls have names of its own.
func named(call string, err error) error {
	if e, ok := err.(*net.OpError); ok {
		e.Op = call
	}
	return err
}

func (c *Conn) failed(call string, err error) error {
	return &net.OpError{
		Op: call, Net: c.LocalAddr().Network(), Source: c.LocalAddr(), Addr: c.RemoteAddr(),
		Err: os.NewSyscallError(call, err),
	}
}

// CloseWrite ends the direction to the other side.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// SyscallConn implements syscall.Conn.
func (c *Conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }
