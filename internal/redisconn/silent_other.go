//go:build !unix

package redisconn

import "syscall"

// silent is the socket of an idle connection, which go-redis looks at.
type silent struct{ syscall.RawConn }

// silentTLS is one of TLS, whose silence cannot be known here.
type silentTLS struct{ silent }

// Read implements syscall.RawConn. It does not call the function.
func (silentTLS) Read(func(fd uintptr) bool) error { return nil }
