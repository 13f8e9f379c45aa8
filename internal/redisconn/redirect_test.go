package redisconn_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/config"
	"sidecar/internal/redisconn"
)

// fakeNode is a server of RESP 2. An answer of "" closes the connection.
func fakeNode(t *testing.T, answer func(self string, args []string) string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r := bufio.NewReader(c)
				for {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
					var args []string
					for range n {
						line, _ = r.ReadString('\n')
						m, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
						b := make([]byte, m+2)
						_, _ = io.ReadFull(r, b)
						args = append(args, string(b[:m]))
					}
					a := answer(l.Addr().String(), args)
					if a == "" {
						return
					}
					_, _ = io.WriteString(c, a)
				}
			}()
		}
	}()
	return l.Addr().String()
}

// common answers as a node that serves all slots.
func common(self string, args []string) string {
	host, port, _ := net.SplitHostPort(self)
	switch strings.ToLower(args[0]) {
	case "hello":
		return "-ERR unknown command\r\n"
	case "cluster":
		return fmt.Sprintf("*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$%d\r\n%s\r\n:%s\r\n$1\r\nx\r\n", len(host), host, port)
	case "command":
		return "*0\r\n"
	}
	return "+OK\r\n"
}

// The library leaves the redirection on those behind the one whose answer did not come.
func TestARedirectedCommandWhoseConnectionBreaksIsUncertain(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"MOVED", "ASK"} {
		target := fakeNode(t, func(self string, args []string) string {
			if args[0] == "get" {
				return ""
			}
			return common(self, args)
		})
		first := fakeNode(t, func(self string, args []string) string {
			if args[0] == "get" {
				return "-" + kind + " 5 " + target + "\r\n"
			}
			return common(self, args)
		})
		conn := open(t, config.Redis{Cluster: config.Hosts(first)}, patient)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		p := conn.Client().Pipeline()
		for _, c := range []*redis.StringCmd{p.Get(ctx, "a"), p.Get(ctx, "b")} {
			defer func() {
				if !redisconn.Uncertain(c.Err()) {
					t.Errorf("%s: %v is certain", kind, c)
				}
			}()
		}
		if err := redisconn.Exec(ctx, p); err != nil {
			t.Error(err)
		}
	}
}
