package backend

import (
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"sidecar/test/origin"
)

// A lateEnd is the body of a client that takes its time to say that there is no content.
type lateEnd struct{ at time.Time }

// Read implements io.Reader.
func (l *lateEnd) Read([]byte) (int, error) {
	time.Sleep(120 * time.Millisecond)
	l.at = time.Now()
	return 0, io.EOF
}

// Close implements io.Closer.
func (l *lateEnd) Close() error { return nil }

func TestTheTimeForTheAnswerBeginsWhenTheClientHasEnded(t *testing.T) {
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	})
	const timeout = 5 * time.Second
	b, err := New(Options{URL: o.URL(), Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	b.idle.trials = maxTrials
	ask := func(body io.ReadCloser) {
		in := httptest.NewRequest("OPTIONS", "/", nil)
		in.Body, in.ContentLength = body, -1
		out, _ := b.Outgoing(in, "")
		resp, err := b.RoundTrip(t.Context(), out, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	deadline := func() (by time.Time) { // of the connection that was used last
		b.idle.mu.Lock()
		defer b.idle.mu.Unlock()
		if n := len(b.idle.idle); n > 0 {
			by = b.idle.idle[n-1].by
		}
		return by
	}
	ask(httptest.NewRequest("GET", "/", nil).Body) // a connection to be used again
	for range 20 {
		body := &lateEnd{}
		ask(body)
		by := deadline()
		if by.IsZero() {
			continue // on a busy machine the end came too late to be taken for one
		}
		if least := body.at.Add(timeout); by.Before(least) {
			t.Errorf("the backend has %v less than its time", least.Sub(by))
		}
		return
	}
	t.Error("no end came in time")
}
