//go:build unix

package backend

import (
	"net"
	"syscall"

	"sidecar/internal/socket"
)

// quietOf returns a function that reports whether nothing has come on an idle connection: neither
// unasked bytes nor the end. It does not wait. Bytes that it reads are lost, with the connection;
// where that is a byte, spoke is set.
func quietOf(c net.Conn, spoke *bool) func() bool {
	if s, ok := c.(*socket.Conn); ok {
		var one [1]byte
		return func() bool {
			n, err := s.TryRead(one[:])
			*spoke = n > 0
			return err == syscall.EAGAIN
		}
	}
	system, ok := c.(syscall.Conn)
	if !ok {
		return func() bool { return false }
	}
	raw, err := system.SyscallConn()
	if err != nil {
		return func() bool { return false }
	}
	var quiet bool
	var one [1]byte
	look := func(fd uintptr) bool {
		n, err := syscall.Read(int(fd), one[:])
		quiet, *spoke = err == syscall.EAGAIN, n > 0
		return true // never wait until it can be read
	}
	return func() bool {
		quiet = false
		return raw.Read(look) == nil && quiet
	}
}
