package socket_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"sidecar/internal/socket"
)

func TestAskWritesAndThenReads(t *testing.T) {
	each(t, func(t *testing.T, own *socket.Conn, other net.Conn) {
		asker := socket.NewAsker(own)
		for _, request := range []string{
			"short", strings.Repeat("more than the system takes at once, ", 1<<17), "again",
		} {
			done := make(chan error, 1)
			go func() {
				got := make([]byte, len(request))
				_, err := io.ReadFull(other, got)
				if err == nil && string(got) != request {
					err = errors.New("it was asked something else")
				}
				_, _ = other.Write([]byte("answer"))
				done <- err
			}()
			answer := make([]byte, 64)
			n, err := asker.Ask([]byte(request), answer)
			if string(answer[:n]) != "answer" || err != nil {
				t.Errorf("%q, %v", answer[:n], err)
			}
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAskSendsNothingWhereSomethingHasCome(t *testing.T) {
	for how, c := range map[string]struct {
		do   func(other net.Conn)
		came int
	}{
		"bytes":   {func(other net.Conn) { _, _ = other.Write([]byte("early")) }, 5},
		"the end": {func(other net.Conn) { _ = endWriting(other) }, 0},
		"bytes and then the end": {
			func(other net.Conn) { _, _ = other.Write([]byte("early")); _ = endWriting(other) }, 5,
		},
	} {
		t.Run(how, func(t *testing.T) {
			each(t, func(t *testing.T, own *socket.Conn, other net.Conn) {
				c.do(other)
				awaitReadable(t, own)
				n, err := socket.NewAsker(own).Ask([]byte("request"), make([]byte, 64))
				if n != c.came || err != socket.ErrNotQuiet {
					t.Errorf("%d, %v", n, err)
				}
				_ = own.Close()
				if sent, _ := io.ReadAll(other); len(sent) > 0 {
					t.Errorf("%q was sent", sent)
				}
			})
		})
	}
}

func TestAskEndsWithTheConnection(t *testing.T) {
	for how, c := range map[string]struct {
		end  func(own *socket.Conn, other net.Conn)
		want error
	}{
		"the other side ends": {
			func(_ *socket.Conn, other net.Conn) { _ = endWriting(other) }, io.EOF,
		},
		"it is closed": {
			func(own *socket.Conn, _ net.Conn) { _ = own.Close() }, net.ErrClosed,
		},
		"its time is over": {
			func(own *socket.Conn, _ net.Conn) { _ = own.SetDeadline(time.Unix(1, 0)) },
			os.ErrDeadlineExceeded,
		},
	} {
		for size, request := range map[string][]byte{
			"short": []byte("request"), "long": bytes.Repeat([]byte("request"), 4<<20),
		} {
			if size == "long" && c.want == io.EOF {
				continue // it is still being sent
			}
			t.Run(how+" after a "+size+" request", func(t *testing.T) {
				each(t, func(t *testing.T, own *socket.Conn, other net.Conn) {
					go func() {
						_, _ = io.ReadFull(other, make([]byte, len("request")))
						c.end(own, other)
					}()
					if n, err := socket.NewAsker(own).Ask(request, make([]byte, 64)); n != 0 ||
						!errors.Is(err, c.want) {
						t.Errorf("%d, %v, want %v", n, err, c.want)
					}
				})
			})
		}
	}
}

// awaitReadable waits until something has come, and leaves it there.
func awaitReadable(t *testing.T, own *socket.Conn) {
	t.Helper()
	raw, err := own.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		return err != syscall.EAGAIN
	}); err != nil {
		t.Fatal(err)
	}
}

func endWriting(c net.Conn) error { return c.(interface{ CloseWrite() error }).CloseWrite() }
