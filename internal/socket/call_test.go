//go:build linux

package socket

import (
	"net"
	"testing"
)

// The system would take all of it at once: a socket over the loopback interface has more room.
func TestOneCallMovesNoMoreThanItMay(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	c := dial()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n, failed := 0, error(nil)
	err = raw.Control(func(fd uintptr) { n, failed = write(fd, make([]byte, 1<<20)) })
	if n == 0 || n > maxCall || failed != nil || err != nil {
		t.Errorf("%d bytes are written at once, %v, %v", n, failed, err)
	}
	n, err = New(dial()).(*Conn).TryWrite(Parts{make([]byte, 100), make([]byte, 1<<20), {'!'}})
	if n == 0 || n > maxCall || err != nil {
		t.Errorf("%d bytes of parts are written at once, %v", n, err)
	}
}
