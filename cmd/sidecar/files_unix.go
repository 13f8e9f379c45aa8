//go:build unix

package main

import (
	"math"
	"syscall"
)

// openFiles is how many files, sockets among them, the process may have open. Go has raised the
// soft limit to the hard one.
func openFiles() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil ||
		limit.Cur > math.MaxInt32 {
		return math.MaxInt32
	}
	return int64(limit.Cur)
}
