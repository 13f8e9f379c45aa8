package backend

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

func TestClosingABodyEndsAReadThatWaits(t *testing.T) {
	for _, framing := range []string{"Content-Length: 6", "Transfer-Encoding: chunked", "X-A: 1"} {
		t.Run(framing, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			x := &exchange{conn: newConn(near), idle: &pool{}, ctx: t.Context(), method: "GET"}
			go func() { // ends when the head is read
				_, _ = io.ReadFull(far, make([]byte, len("request")))
				_, _ = io.WriteString(far, "HTTP/1.1 200 OK\r\n"+framing+"\r\n\r\n")
			}()
			resp, err := x.run([]byte("request"), nil)
			if err != nil {
				t.Fatal(err)
			}
			result := make(chan error, 1)
			go func() {
				_, err := resp.Body.Read(make([]byte, 8))
				result <- err
			}()
			// until it reads
			for b := resp.Body.(*body); b.mu.TryLock(); time.Sleep(time.Millisecond) {
				b.mu.Unlock()
			}
			if err := resp.Body.Close(); err != nil {
				t.Error(err)
			}
			if err := <-result; err == nil || err == io.EOF {
				t.Errorf("the body ends with %v", err)
			}
			if _, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the connection stays: %v", err)
			}
		})
	}
}
