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
