package socket

import (
	"io"
	"syscall"
)

// A Next is the next step of Repeat.
type Next int

const (
	Stop Next = iota // return
	Read             // read, and wait where nothing has come
	Wait             // wait for bytes that have not come yet, and then read
)

// Repeat reads into p and calls f with the number of bytes, again and again until f returns Stop.
// An error, io.EOF among them, ends it without a call.
//
// Wait saves the attempt to read in vain. It must not follow bytes that fill p. What comes together
// with the bytes that f was called with, the end of the connection too, may stay unnoticed until
// more comes: where it is chosen the end has to be looked for, as with Control.
//
// Close waits for f to return. So f must not close the connection.
func (c *Conn) Repeat(p []byte, f func(n int) Next) error {
	d := &c.in
	d.mu.Lock()
	defer d.mu.Unlock()
	var failed error
	err := c.raw.Read(func(fd uintptr) (end bool) {
		for {
			n, err := read(fd, p)
			switch {
			case err == syscall.EINTR:
				continue
			case err == syscall.EAGAIN:
				return false
			case err != nil:
				failed = c.failed("read", err)
				return true
			case n == 0:
				failed = io.EOF
				return true
			}
			switch f(n) {
			case Stop:
				return true
			case Wait:
				return false
			}
		}
	})
	if err != nil {
		return named("read", err)
	}
	return failed
}
