//go:build unix

package redisconn

import (
	"errors"
	"syscall"
)

// silentTLS is the socket of an idle connection of TLS. It is looked at here, and not by go-redis,
// for which bytes may be a push message: here they are the connection's end.
type silentTLS struct{ syscall.RawConn }

// Read implements syscall.RawConn. It does not call the function.
func (s silentTLS) Read(func(fd uintptr) bool) (err error) {
	looked := s.RawConn.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, peeked := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		if n > 0 || !errors.Is(peeked, syscall.EAGAIN) {
			err = errUnread
		}
		return true
	})
	return errors.Join(err, looked)
}
