//go:build linux

package backend

import (
	"bytes"
	"io"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"sidecar/internal/socket"
)

// readyBody is the body of an answer of which the first part has been sent, and has come.
func readyBody(t *testing.T, length int, sent []byte) (b *body, far net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(length) + "\r\n\r\n")
	answer = append(answer, sent...)
	if _, err := far.Write(answer); err != nil {
		t.Fatal(err)
	}
	awaitBytes(t, near, len(answer))
	x := &exchange{conn: newConn(socket.New(near)), idle: &pool{}, ctx: t.Context(), method: "GET"}
	resp, err := x.run([]byte("request"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return resp.Body.(*body), far
}

// awaitBytes waits until so many bytes can be read.
func awaitBytes(t *testing.T, c net.Conn, want int) {
	t.Helper()
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, want)
	for n := 0; n < want; time.Sleep(time.Millisecond) {
		err := raw.Control(func(fd uintptr) {
			n, _, _ = syscall.Recvfrom(int(fd), p, syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// long is content of which a part does not fit into the buffer of a connection.
var long = bytes.Repeat([]byte("0123456789abcdef"), 2500)

func TestAReadTakesAllThatHasCome(t *testing.T) {
	b, _ := readyBody(t, len(long), long)
	p := make([]byte, len(long)+1)
	if n, err := b.Read(p); !bytes.Equal(p[:n], long) || err != io.EOF {
		t.Errorf("%d bytes of %d, %v", n, len(long), err)
	}
	if c, _ := b.idle.get(time.Now(), false); c == nil {
		t.Error("the connection is not used again")
	}
}

func TestAReadDoesNotWaitForMore(t *testing.T) {
	for _, sent := range []int{10, 20_000} {
		b, far := readyBody(t, len(long), long[:sent])
		p := make([]byte, len(long))
		if n, err := b.Read(p); n != sent || err != nil {
			t.Errorf("%d bytes of %d, %v", n, sent, err)
		}
		_, _ = far.Write(long[sent:])
		if n, err := io.ReadFull(b, p[sent:]); n != len(long)-sent || !bytes.Equal(p, long) {
			t.Errorf("%d bytes behind %d, %v", n, sent, err)
		}
	}
}

func TestAReadTakesNothingBehindTheBody(t *testing.T) {
	b, _ := readyBody(t, len(long), append(bytes.Clone(long), "HTTP/1.1 200 OK\r\n\r\n"...))
	p := make([]byte, 2*len(long))
	if n, err := b.Read(p); !bytes.Equal(p[:n], long) || err != io.EOF {
		t.Errorf("%d bytes of %d, %v", n, len(long), err)
	}
	if c, _ := b.idle.get(time.Now(), false); c != nil {
		t.Error("the connection is used again")
	}
}

func TestAReadTellsOfAnEndTooEarly(t *testing.T) {
	b, far := readyBody(t, len(long)+1, long)
	_ = far.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(b)
	if !bytes.Equal(got, long) || err != io.ErrUnexpectedEOF {
		t.Errorf("%d bytes of %d, %v", len(got), len(long), err)
	}
}
