//go:build linux && !race

package socket

import (
	"syscall"
	"unsafe"
)

const isCheap = true

// read and write do not wait, and move at least one byte where they return no error, but at the
// end of what is read. Neither p is empty.

func read(fd uintptr, p []byte) (int, error) { return call(syscall.SYS_READ, fd, p) }

func write(fd uintptr, p []byte) (int, error) { return call(syscall.SYS_WRITE, fd, p) }

func call(number, fd uintptr, p []byte) (int, error) {
	p = p[:min(len(p), maxCall)]
	n, _, errno := syscall.RawSyscall(
		number, fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
