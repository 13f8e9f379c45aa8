package wire_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"sidecar/wire"
)

func TestALastAnswerEndsTheConnection(t *testing.T) {
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"),
		quick(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Connection"] = []string{"close"}
			tell(w, r)
		}), tell)
	c := s.used(t)
	c.send(t, plainRequests[0]+plainRequests[0])
	c.answerTo(t, "GET")
	if s.own.Answered() != 1 || !c.ended() {
		t.Errorf("%d answers, and the connection stays", s.own.Answered())
	}
}

// A long answer without a length, in pieces of all sizes, comes whole.
func TestAnAnswerWithoutALengthComesWhole(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	for _, size := range []int{100, 2047, 2048, 2049, 16 << 10, len(content)} {
		s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"),
			quick(func(w http.ResponseWriter, _ *http.Request) {
				for piece := range slices.Chunk(content, size) {
					if n, err := w.Write(piece); n != len(piece) || err != nil {
						t.Errorf("Write: %d, %v", n, err)
					}
				}
			}), tell)
		c := s.used(t)
		for range 2 {
			c.send(t, plainRequests[0])
			if got := c.answerTo(t, "GET"); got != string(content) {
				t.Errorf("in pieces of %d: %d bytes came of %d", size, len(got), len(content))
			}
		}
		if n := s.own.Answered(); n != 2 {
			t.Errorf("%d answers below net/http", n)
		}
	}
}

func TestAnAnswerThatBreaksOffEndsItsConnectionAlone(t *testing.T) {
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"),
		quick(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/q/panic" {
				panic(http.ErrAbortHandler)
			}
			tell(w, r)
		}), tell)
	c, other := s.used(t), s.used(t)
	c.send(t, "GET /q/panic HTTP/1.1\r\nHost: a\r\n\r\n")
	if !c.ended() {
		t.Error("it stays")
	}
	other.send(t, plainRequests[0])
	other.answerTo(t, "GET")
	if err := s.own.Await(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestALongAnswerComesWhole(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
	s := serveQuick(t, listen(t, "tcp", "127.0.0.1:0"),
		quick(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Length"] = []string{fmt.Sprint(len(content))}
			for part := range slices.Chunk(content, 1<<20-7) {
				if _, err := w.Write(part); err != nil {
					t.Error(err)
				}
			}
		}), tell)
	c := s.used(t)
	for range 2 {
		c.send(t, plainRequests[0])
		if got := c.answerTo(t, "GET"); got != string(content) {
			t.Fatalf("%d bytes came, not the %d", len(got), len(content))
		}
	}
	if s.own.Answered() != 2 {
		t.Errorf("%d answers below net/http", s.own.Answered())
	}
}

func TestAClientThatTakesNothingEndsAnAnswerBelowNetHTTP(t *testing.T) {
	ended := make(chan error, 1)
	q := quick(func(w http.ResponseWriter, r *http.Request) {
		_, err := w.Write(make([]byte, 64<<20))
		ended <- err
	})
	s := serveBounded(t, listen(t, "tcp", "127.0.0.1:0"),
		wire.Options{Quick: q, Stall: 500 * time.Millisecond}, tell)
	c := s.used(t)
	c.send(t, plainRequests[0])
	select {
	case err := <-ended:
		if !isTimeout(err) {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}
