package proxy_test

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"sync"
	"testing"
)

// A clearing takes the fields of an answer as a map, and clears that behind the answer, as the
// writers of package wire do.
type clearing struct {
	header, sent http.Header
	content      int
}

func (c *clearing) Header() http.Header     { return c.header }
func (c *clearing) SetHeader(h http.Header) { c.header = h }
func (c *clearing) WriteHeader(int)         { c.sent = c.header.Clone() }
func (c *clearing) FlushError() error       { return nil }

func (c *clearing) Write(p []byte) (int, error) {
	c.content += len(p)
	return len(p), nil
}

// The maps of answers are used again, for others: each has its own fields all the same, and those
// of its hop, of its writer and of an answer before are not among them.
func TestAnswersThatPassHaveTheirOwnFields(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		h := w.Header()
		h["Date"], h["Content-Type"] = nil, nil
		h["Connection"], h["X-Hop"] = []string{"x-hop"}, []string{"1"}
		h["X-Path"] = []string{r.URL.Path, "2"}
		h["X-Of"+r.URL.Path[len("/other/"):]] = []string{"3"}
		_, _ = w.Write([]byte("12345"))
	})
	p := start(t, b, remembered).proxy
	var running sync.WaitGroup
	for client := range 4 {
		running.Go(func() {
			w := &clearing{header: http.Header{}}
			for i := range 50 {
				target := fmt.Sprintf("/other/%d-%d", client, i)
				taken, ok := p.Take(requestOf(t, "GET "+target), nil)
				if !ok {
					t.Error("it is not taken")
					return
				}
				p.Answer(w, taken, func() context.Context { return t.Context() })
				want := http.Header{
					"X-Path": {target, "2"}, "X-Of" + target[len("/other/"):]: {"3"},
					"Content-Length": {"5"}, "Date": nil, "Content-Type": nil,
					"Cache-Status": {"sidecar; fwd=bypass; detail=no-route"},
				}
				if !reflect.DeepEqual(w.sent, want) || w.content != 5*(i+1) {
					t.Errorf("%s: %v with %d bytes, want %v", target, w.sent, w.content, want)
				}
				clear(w.header)
			}
		})
	}
	running.Wait()
}
