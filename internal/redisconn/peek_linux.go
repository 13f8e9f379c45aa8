package redisconn

import (
	"syscall"
	"unsafe"
)

// peek looks for a byte to read, without taking it or waiting. Go's runtime is not told of the
// call: it would wake its monitor for it, which costs a quarter of a look-up.
func peek(fd uintptr) (n int, err error) {
	var b [1]byte
	got, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b[0])),
		uintptr(len(b)), syscall.MSG_PEEK|syscall.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(got), nil
}
