//go:build !unix

package redisconn

import "syscall"

// silentTLS is the socket of an idle connection of TLS, whose silence cannot be known here.
type silentTLS struct{ syscall.RawConn }

// Read implements syscall.RawConn. It does not call the function.
func (silentTLS) Read(func(fd uintptr) bool) error { return nil }
