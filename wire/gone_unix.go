//go:build unix

package wire

import (
	"net"
	"syscall"
)

// isGone reports whether the other side has reset the connection, or no longer knows of it.
func isGone(c net.Conn) bool {
	system, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := system.SyscallConn()
	if err != nil {
		return true
	}
	broken := false
	err = raw.Control(func(fd uintptr) {
		pending, err := syscall.GetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_ERROR)
		broken = err != nil || pending != 0
	})
	return err != nil || broken
}

// hasLeft reports whether the other side has ended its direction, or the connection. It does not
// wait, and leaves bytes that have come where they are.
func hasLeft(c net.Conn) bool {
	system, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := system.SyscallConn()
	if err != nil {
		return true
	}
	left := false
	err = raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		left = n == 0 && err == nil ||
			err != nil && err != syscall.EAGAIN && err != syscall.EINTR
	})
	return err != nil || left
}
