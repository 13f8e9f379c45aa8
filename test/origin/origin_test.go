package origin_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"sidecar/test/origin"
)

func dial(t *testing.T, o *origin.Origin) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", o.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

func send(t *testing.T, to io.Writer, s string) {
	t.Helper()
	if _, err := io.WriteString(to, s); err != nil {
		t.Fatal(err)
	}
}

const empty = "HTTP/1.1 204 No Content\r\n\r\n"

func TestRequestsAreSeenAsTheyAreOnTheWire(t *testing.T) {
	type seen struct {
		head, method, target string
		fields, trailers     []origin.Field
		body                 string
	}
	got := make(chan seen, 3)
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- seen{string(r.Head), r.Method, r.Target, r.Fields, r.Trailers, string(body)}
		_, _ = c.WriteString(empty)
	})
	const (
		plain   = "gEt //a/%2f?b=%zz HTTP/1.1\r\nhOST: x\r\nB: 2\r\na:1\r\nb:\r\n\r\n"
		length  = "PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
		chunked = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
	)
	c := dial(t, o)
	send(t, c, plain+length+"abc"+chunked+"2\r\nab\r\n1\r\nc\r\n0\r\nT: 1\r\n\r\n")
	for _, want := range []seen{
		{head: plain, method: "gEt", target: "//a/%2f?b=%zz",
			fields: []origin.Field{{"hOST", "x"}, {"B", "2"}, {"a", "1"}, {"b", ""}}},
		{head: length, method: "PUT", target: "/",
			fields: []origin.Field{{"Content-Length", "3"}}, body: "abc"},
		{head: chunked, method: "PUT", target: "/",
			fields: []origin.Field{{"Transfer-Encoding", "chunked"}}, body: "abc",
			trailers: []origin.Field{{"T", "1"}}},
	} {
		s := <-got
		if s.head != want.head || s.method != want.method || s.target != want.target ||
			s.body != want.body ||
			!slices.Equal(s.fields, want.fields) || !slices.Equal(s.trailers, want.trailers) {
			t.Errorf("got %+v, want %+v", s, want)
		}
	}
	if o.Requests() != 3 || o.Connections() != 1 {
		t.Errorf("%d requests on %d connections", o.Requests(), o.Connections())
	}
}

func TestBodyIsReadOnlyWhenItIsWanted(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		_, _ = c.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
		body, _ := io.ReadAll(r.Body)
		_, _ = c.WriteString("HTTP/1.1 200 " + string(body) + "\r\nContent-Length: 0\r\n\r\n")
	})
	c := dial(t, o)
	send(t, c, "PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n")
	read := bufio.NewReader(c)
	if line, err := read.ReadString('\n'); line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatal(line, err)
	}
	_, _ = read.ReadString('\n')
	send(t, c, "abc")
	if line, err := read.ReadString('\n'); line != "HTTP/1.1 200 abc\r\n" {
		t.Fatal(line, err)
	}
}

func TestConnectionsEndAsTheTestSays(t *testing.T) {
	for _, tt := range []struct {
		name string
		end  func(*origin.Conn)
		want error
	}{
		{"close", func(c *origin.Conn) { _ = c.Close() }, io.EOF},
		{"reset", (*origin.Conn).Reset, syscall.ECONNRESET},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) { tt.end(c) })
			c := dial(t, o)
			send(t, c, "GET / HTTP/1.1\r\n\r\n")
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, tt.want) {
				t.Errorf("the other side sees %v", err)
			}
		})
	}
}

func TestOriginSeesSilenceBytesAndTheEnd(t *testing.T) {
	silent, ended := make(chan bool, 2), make(chan bool, 1)
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		silent <- c.Silent(time.Millisecond)
		_, _ = c.WriteString("x")
		p := make([]byte, 1)
		silent <- c.Silent(10 * time.Second)
		if _, err := io.ReadFull(c, p); err != nil || p[0] != 'y' {
			t.Errorf("%q %v", p, err)
		}
		ended <- c.AwaitEnd()
	})
	c := dial(t, o)
	send(t, c, "GET / HTTP/1.1\r\n\r\n")
	if !<-silent {
		t.Error("it heard something though nothing was sent")
	}
	if _, err := c.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	send(t, c, "yz")
	if <-silent {
		t.Error("it heard nothing though something was sent")
	}
	_ = c.Close()
	if !<-ended {
		t.Error("it did not see the end")
	}
}

func TestEverythingEndsWithTheTest(t *testing.T) {
	var o *origin.Origin
	var c net.Conn
	t.Run("a test with an open connection", func(t *testing.T) {
		o = origin.Start(t, func(c *origin.Conn, _ *origin.Request) { c.AwaitEnd() })
		var err error
		if c, err = net.Dial("tcp", o.Addr()); err != nil {
			t.Fatal(err)
		}
		send(t, c, "GET / HTTP/1.1\r\n\r\n")
	})
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection: %v", err)
	}
	if _, err := http.Get(o.URL()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the listener: %v", err)
	}
}
