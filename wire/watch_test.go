package wire_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"sidecar/test/proc"
)

// A leaver tells when the context of its request ends.
func leaver(t *testing.T) (h http.HandlerFunc, begun chan struct{}, ended chan error) {
	begun, ended = make(chan struct{}), make(chan error, 1)
	return func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		select {
		case <-r.Context().Done():
			ended <- r.Context().Err()
		case <-time.After(patience):
			ended <- errors.New("it does not end")
		}
	}, begun, ended
}

func TestTheContextEndsWhenTheClientLeaves(t *testing.T) {
	for how, leave := range map[string]func(c *client){
		"it closes":       func(c *client) { _ = c.Close() },
		"it resets":       func(c *client) { _ = c.SetLinger(0); _ = c.Close() },
		"it ends its way": func(c *client) { _ = c.CloseWrite() },
	} {
		t.Run(how, func(t *testing.T) {
			h, begun, ended := leaver(t)
			s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), quick(h), tell)
			c := s.used(t)
			c.send(t, plainRequests[0])
			<-begun
			leave(c)
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
}

// What came with a request may be a write, whose answer the client waits for.
func TestTheEndBehindMoreThanARequestDoesNotCancelIt(t *testing.T) {
	const write = "POST /after HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
	begun, goOn := make(chan context.Context), make(chan bool)
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"),
		quick(func(w http.ResponseWriter, r *http.Request) {
			begun <- r.Context()
			<-goOn
			tell(w, r)
		}), tell)
	c := s.used(t)
	c.send(t, plainRequests[0]+write)
	_ = c.CloseWrite()
	ctx := <-begun
	select {
	case <-ctx.Done():
		t.Error("the request is cancelled")
	case <-time.After(400 * time.Millisecond): // it is looked after meanwhile
	}
	close(goOn)
	c.answerTo(t, "GET")
	c.answerTo(t, "POST")
	if !c.ended() {
		t.Error("the connection goes on")
	}
}

func TestTheContextLastsWhileTheClientIsThere(t *testing.T) {
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"),
		quick(func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
				t.Errorf("%v, though its client is there", r.Context().Err())
			case <-time.After(400 * time.Millisecond): // it is looked after meanwhile
			}
			tell(w, r)
		}), tell)
	c := s.used(t)
	c.send(t, plainRequests[0])
	c.answerTo(t, "GET")
	c.send(t, plainRequests[0]+plainRequests[0]) // one more is there
	c.answerTo(t, "GET")
	c.answerTo(t, "GET")
}

// A lookedAt notes when it is asked for the system's connection, as each look after a client does.
type lookedAt struct {
	*net.TCPConn
	looks chan time.Time
}

func (c lookedAt) SyscallConn() (syscall.RawConn, error) {
	c.looks <- time.Now()
	return c.TCPConn.SyscallConn()
}

type lookedAtListener struct {
	net.Listener
	looks chan time.Time
}

func (l lookedAtListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return lookedAt{c.(*net.TCPConn), l.looks}, nil
}

// A client that has only ended its own direction is taken for one that has left. It has the time to
// get a quick answer, on a connection too on which another request was looked after just before.
func TestTheClientHasTimeToGetAQuickAnswer(t *testing.T) {
	const least = 100 * time.Millisecond
	l := lookedAtListener{listen(t, "tcp", "127.0.0.1:0"), make(chan time.Time, 1000)}
	asked := make(chan time.Time, 1)
	s := serveQuick(t, l, quick(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/q/held" {
			if after := (<-l.looks).Sub(<-asked); after < least {
				t.Errorf("its client is looked after %v after it was sent", after)
			}
		}
		tell(w, r)
	}), tell)
	c := s.used(t)
	for range 5 {
		c.send(t, plainRequests[0])
		c.answerTo(t, "GET")
		time.Sleep(least / 2) // not long enough for a look, and not what a busy connection does
		for len(l.looks) > 0 {
			<-l.looks
		}
		asked <- time.Now()
		c.send(t, "GET /q/held HTTP/1.1\r\nHost: a\r\n\r\n")
		c.answerTo(t, "GET")
	}
}

// There may be thousands of event streams.
func TestTheClientOfALongAnswerIsLookedAfterMoreRarely(t *testing.T) {
	const looks = 12
	l := lookedAtListener{listen(t, "tcp", "127.0.0.1:0"), make(chan time.Time, 1000)}
	s := serveQuick(t, l, quick(func(w http.ResponseWriter, r *http.Request) {
		var last, between time.Time
		for range looks {
			last, between = <-l.looks, last
		}
		if gap := last.Sub(between); gap < 300*time.Millisecond {
			t.Errorf("%v passed between look %d and %d", gap, looks-1, looks)
		}
		tell(w, r)
	}), tell)
	c := s.used(t)
	for len(l.looks) > 0 {
		<-l.looks
	}
	c.send(t, plainRequests[0])
	c.answerTo(t, "GET")
}

func TestTheContextEndsWithTheAnswerAndWithTheProcess(t *testing.T) {
	base, end := context.WithCancel(t.Context())
	h, begun, ended := leaver(t)
	var first context.Context
	q := quick(func(w http.ResponseWriter, r *http.Request) {
		if first == nil {
			first = r.Context()
			tell(w, r)
			return
		}
		h(w, r)
	})
	q.Base = base
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"), q, tell)
	c := s.used(t)
	c.send(t, plainRequests[0])
	c.answerTo(t, "GET")
	proc.Await(t, patience, func() error {
		if first.Err() == nil {
			return errors.New("its context lasts")
		}
		return nil
	})
	c.send(t, plainRequests[0])
	<-begun
	end()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// A connection whose requests follow each other closely is not read from in vain between them. Its
// end may come with the last of them.
func TestTheEndOfABusyConnectionIsNoticed(t *testing.T) {
	begun, proceed := make(chan struct{}), make(chan struct{})
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"),
		quick(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/q/held" {
				begun <- struct{}{}
				<-proceed
			}
			tell(w, r)
		}), tell)
	for range 10 { // in most of them the requests come close enough
		c := s.used(t)
		for range 3 {
			c.send(t, plainRequests[0])
			c.answerTo(t, "GET")
		}
		c.send(t, "GET /q/held HTTP/1.1\r\nHost: a\r\n\r\n")
		<-begun
		c.send(t, plainRequests[0]) // it lies there with the end when it is read
		_ = c.CloseWrite()
		for deadline := time.Now().Add(patience); !arrived(t, c); {
			if time.Now().After(deadline) {
				t.Fatal("the client's end does not arrive")
			}
		}
		proceed <- struct{}{}
		c.answerTo(t, "GET")
		c.answerTo(t, "GET")
		if !c.ended() {
			t.Fatal("the connection stays")
		}
	}
}

// arrived reports whether the other side's system has acknowledged the client's end, and so all
// that came before it. Other systems than Linux do not tell.
func arrived(t *testing.T, c *client) bool {
	table, err := os.ReadFile("/proc/net/tcp")
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		t.Fatal(err)
	}
	const finWait2 = "05"
	port := fmt.Sprintf(":%04X", c.LocalAddr().(*net.TCPAddr).Port)
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 3 && strings.HasSuffix(f[1], port) && f[3] == finWait2 {
			return true
		}
	}
	return false
}
