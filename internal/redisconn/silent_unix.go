//go:build unix

package redisconn

import (
	"errors"
	"syscall"
)

// silent is the socket of an idle connection. go-redis asks it for its raw socket to look whether
// something is to be read: here is looked first, at a lower price.
type silent struct{ syscall.RawConn }

// Read implements syscall.RawConn. It calls the function only where something is to be read.
func (s silent) Read(look func(fd uintptr) (done bool)) error {
	if isSilent, err := s.isSilent(); isSilent || err != nil {
		return err
	}
	return s.RawConn.Read(look)
}

// isSilent reports whether neither bytes nor the end has come.
func (s silent) isSilent() (yes bool, err error) {
	err = s.RawConn.Control(func(fd uintptr) {
		n, peeked := peek(fd)
		yes = n <= 0 && errors.Is(peeked, syscall.EAGAIN)
	})
	return yes, err
}

// silentTLS is silent for TLS. To go-redis bytes may be a push message: here they are the
// connection's end.
type silentTLS struct{ silent }

// Read implements syscall.RawConn. It does not call the function.
func (s silentTLS) Read(func(fd uintptr) bool) error {
	isSilent, err := s.isSilent()
	if !isSilent && err == nil {
		return errUnread
	}
	return err
}
