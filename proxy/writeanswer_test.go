package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestAWriteIsCarriedThroughWhenItsClientLeaves(t *testing.T) {
	var finished atomic.Bool
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodGet {
			write(w, fmt.Sprint("answer ", n))
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if !g.wait(r) {
			return
		}
		select { // the client has left by now: time to hear of it
		case <-r.Context().Done():
		case <-time.After(200 * time.Millisecond):
			finished.Store(true)
		}
	})
	s := start(t, b, writes)
	still := s.cached("/items/1")
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan struct{})
	go func() { // ends when the client leaves
		defer close(left)
		s.do(ctx, http.MethodPut, "/items/1", strings.NewReader("x"))
	}()
	await(t, "the backend has the write", func() bool { return b.requests.Load() == 2 })
	leave()
	<-left
	open()
	await(t, "the write is done", finished.Load)
	await(t, "what it changed is gone", func() bool { return !still() })
}

func TestAnAnswerToAWriteThatIsSilentEndsSomeTimeAfterItsClientHasLeft(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodGet {
			write(w, fmt.Sprint("answer ", n))
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(ended)
	})
	s := start(t, b, writes, func(o *setup) { o.backend.Timeout = 2 * time.Second })
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, s.url+"/items/1",
		strings.NewReader("x"))
	check(t, err)
	resp, err := http.DefaultClient.Do(request)
	check(t, err)
	defer resp.Body.Close()
	still := s.cached("/items/1")
	leave()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		b.CloseClientConnections()
		t.Fatal("the backend's answer was not given up")
	}
	await(t, "what was changed while it was silent is gone", func() bool { return !still() })
}

func TestAWriteThatGotNoAnswerInvalidates(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodPut {
			_, _ = io.Copy(io.Discard, r.Body)
			panic(http.ErrAbortHandler)
		}
		write(w, fmt.Sprint("answer ", n))
	})
	s := start(t, b, writes)
	still := s.cached("/items/1")
	if a := s.put("/items/1", "x"); a.status != http.StatusBadGateway {
		t.Errorf("%d %q", a.status, a.cache())
	}
	if still() {
		t.Error("what it may have changed is served")
	}
}

// The changes of a backend while it streams its answer are invalidated before the end is seen.
func TestAStreamedAnswerToAWriteInvalidatesAgainAtItsEnd(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodGet {
			write(w, fmt.Sprint("answer ", n))
			return
		}
		_, _ = io.WriteString(w, "begun ")
		_ = http.NewResponseController(w).Flush()
		g.wait(r)
		_, _ = io.WriteString(w, "done")
	})
	s := start(t, b, writes)
	s.cached("/items/1")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.url+"/items/1",
		strings.NewReader("x"))
	check(t, err)
	resp, err := client.Do(req)
	check(t, err)
	defer resp.Body.Close()
	still := s.cached("/items/1") // meanwhile, from a possibly old read
	open()
	if content, err := io.ReadAll(resp.Body); string(content) != "begun done" || err != nil {
		t.Errorf("%q %v", content, err)
	}
	if still() {
		t.Error("what was stored during the answer is served after its end")
	}
}

// An answer in which events come is not held to look for tags.
func TestAnEventStreamAfterAWriteIsNotHeld(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, "data: 1\n\n")
		_ = http.NewResponseController(w).Flush()
		g.wait(r)
	})
	s := start(t, b, writes)
	resp, err := client.Post(s.url+"/of/answer", "text/plain", strings.NewReader("x"))
	check(t, err)
	defer resp.Body.Close()
	event := make([]byte, 9)
	if _, err := io.ReadFull(resp.Body, event); string(event) != "data: 1\n\n" {
		t.Errorf("%q %v", event, err)
	}
	open()
}
