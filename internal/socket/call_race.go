//go:build linux && race

package socket

import "syscall"

const isCheap = true

// The race detector takes bytes on a connection for an order of events, and sees it in these calls.

func read(fd uintptr, p []byte) (int, error) {
	n, err := syscall.Read(int(fd), p[:min(len(p), maxCall)])
	return max(n, 0), err
}

func write(fd uintptr, p []byte) (int, error) {
	n, err := syscall.Write(int(fd), p[:min(len(p), maxCall)])
	return max(n, 0), err
}

func writeParts(fd uintptr, all *Parts) (n int, err error) {
	for _, p := range all {
		if len(p) == 0 {
			continue
		}
		took, err := write(fd, p)
		if n += took; took < len(p) {
			if n > 0 {
				err = nil
			}
			return n, err
		}
	}
	return n, nil
}
