//go:build linux && !race && (amd64 || arm64)

package socket

import (
	"syscall"
	"unsafe"
)

const isCheap = true

// read and write do not wait, and move at least one byte where they return no error, but at the
// end of what is read. Neither p is empty.

// recvfrom and sendto take less than read and write, which look first what kind of file it is.

func read(fd uintptr, p []byte) (int, error) { return call(syscall.SYS_RECVFROM, fd, p, 0) }

func write(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_SENDTO, fd, p, syscall.MSG_NOSIGNAL)
}

func call(number, fd uintptr, p []byte, flags uintptr) (int, error) {
	p = p[:min(len(p), maxCall)]
	n, _, errno := syscall.RawSyscall6(number, fd,
		uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), flags, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// writeParts is write for all of the parts at once, which are no more than maxCall.
func writeParts(fd uintptr, all *Parts) (int, error) {
	var vectors [len(all)]syscall.Iovec
	for i, p := range all {
		vectors[i].Base = unsafe.SliceData(p)
		vectors[i].SetLen(len(p))
	}
	n, _, errno := syscall.RawSyscall(
		syscall.SYS_WRITEV, fd, uintptr(unsafe.Pointer(&vectors)), uintptr(len(vectors)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
