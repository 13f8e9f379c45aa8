package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sidecar/wire"
)

// The bounds towards clients: READ_HEADER_TIMEOUT, IDLE_TIMEOUT, MAX_HEADER_BYTES.
func TestTheDataServerBoundsItsClients(t *testing.T) {
	l, err := listen("127.0.0.1:0", "LISTEN_ADDR")
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	})
	limits := dataLimits{
		readHeader: 200 * time.Millisecond, idle: 200 * time.Millisecond, headerBytes: 8 << 10,
	}
	s := serving{
		"data", dataServer(handler, context.Background(), limits, slog.New(slog.DiscardHandler)),
		wire.Listen(l, wire.Options{}),
	}
	ended := make(chan error, 1)
	go func() { ended <- s.serve() }()
	defer func() {
		s.stop(t.Context(), slog.New(slog.DiscardHandler))
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	const request = "GET / HTTP/1.1\r\nHost: a\r\n"
	for _, tt := range []struct {
		name, sent string
		want       string // the beginning of the bytes that come until the connection ends
	}{
		{"nothing is sent", "", ""},
		{"a head that does not end", request, ""},
		{"idle after an answer", request + "\r\n", "HTTP/1.1 200 OK"},
		{"idle by HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
			"\x00"},
		{"a head that is too large", request + "X: " + strings.Repeat("x", 16<<10) + "\r\n\r\n",
			"HTTP/1.1 431"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			if _, err := io.WriteString(c, tt.sent); err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(bufio.NewReader(c))
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() ||
				!strings.HasPrefix(string(got), tt.want) || tt.want == "" && len(got) > 0 {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestAnAddressWithoutAPortIsToldWithOneThatHasIt(t *testing.T) {
	_, err := listen("18999", "LISTEN_ADDR")
	const want = `LISTEN_ADDR: "18999" is no address with a port, like :8080 or 127.0.0.1:8080`
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
