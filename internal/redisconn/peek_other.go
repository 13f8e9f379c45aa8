//go:build unix && !linux

package redisconn

import "syscall"

// peek looks for a byte to read, without taking it or waiting.
func peek(fd uintptr) (n int, err error) {
	var b [1]byte
	n, _, err = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return n, err
}
