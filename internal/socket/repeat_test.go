package socket_test

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"sidecar/internal/socket"
)

func TestRepeatHandsOverAllThatComes(t *testing.T) {
	each(t, func(t *testing.T, own *socket.Conn, other net.Conn) {
		const all = "bytes that come in many pieces, some of them while another is in hand"
		sent := 0
		send := func(n int) {
			_, _ = other.Write([]byte(all[sent:][:n]))
			sent += n
		}
		send(3)
		var got strings.Builder
		p := make([]byte, 7)
		err := own.Repeat(p, func(n int) socket.Next {
			got.Write(p[:n])
			switch left := len(all) - sent; {
			case got.Len() == len(all):
				return socket.Stop
			case got.Len() == sent:
				send(min(left, 5+left%4)) // it comes while the last of it is in hand
			}
			if n == len(p) {
				return socket.Read
			}
			return socket.Wait
		})
		if err != nil || got.String() != all {
			t.Errorf("%q, %v", got.String(), err)
		}
	})
}

func TestRepeatEndsWithTheConnection(t *testing.T) {
	for how, end := range map[string]struct {
		do   func(own *socket.Conn, other net.Conn)
		want error
	}{
		"the other side ends": {
			func(_ *socket.Conn, other net.Conn) { _ = other.Close() }, io.EOF,
		},
		"it is closed": {
			func(own *socket.Conn, _ net.Conn) { _ = own.Close() }, net.ErrClosed,
		},
		"its time is over": {
			func(own *socket.Conn, _ net.Conn) { _ = own.SetReadDeadline(time.Unix(1, 0)) },
			os.ErrDeadlineExceeded,
		},
	} {
		for what, next := range map[string]socket.Next{
			"reads": socket.Read, "waits": socket.Wait,
		} {
			t.Run(how+" while it "+what, func(t *testing.T) {
				each(t, func(t *testing.T, own *socket.Conn, other net.Conn) {
					_, _ = other.Write([]byte("ab"))
					came, ended := 0, make(chan struct{})
					err := own.Repeat(make([]byte, 8), func(n int) socket.Next {
						if came += n; came == 2 {
							go func() { defer close(ended); end.do(own, other) }()
						}
						return next
					})
					if !errors.Is(err, end.want) || came != 2 {
						t.Errorf("%d bytes, %v; want 2, %v", came, err, end.want)
					}
					<-ended
				})
			})
		}
	}
}
