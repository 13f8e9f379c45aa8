//go:build unix

package wire

import (
	"net"
	"syscall"
)

// isGone reports whether the other side has reset the connection, or no longer knows of it.
func isGone(c net.Conn) bool {
	return looksOver(c, func(fd int) bool {
		pending, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR)
		return err != nil || pending != 0
	})
}

// hasLeft reports whether the other side has ended its direction, or the connection. It does not
// wait, and leaves bytes that have come where they are.
func hasLeft(c net.Conn) bool {
	return looksOver(c, func(fd int) bool {
		var one [1]byte
		n, _, err := syscall.Recvfrom(fd, one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		return n == 0 && err == nil ||
			err != nil && err != syscall.EAGAIN && err != syscall.EINTR
	})
}

// looksOver is a look at the socket of a connection; true if that is closed.
func looksOver(c net.Conn, look func(fd int) bool) (over bool) {
	system, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := system.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) { over = look(int(fd)) })
	}
	return err != nil || over
}
