package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/internal/peek"
	"sidecar/test/redisd"
)

func TestABodyThatCannotBeReadToItsEndIsNotSent(t *testing.T) {
	b := backendThat(t, counts())
	s := start(t, b, writes)
	raw := s.raw("PUT /items/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZ\r\n")
	if !strings.HasPrefix(raw, "HTTP/1.1 400 ") || b.requests.Load() != 0 {
		t.Errorf("%q, and the backend saw %d requests", raw, b.requests.Load())
	}
}

// A body over the size that is inspected is sent on as it comes, and dropped whole families.
func TestABodyThatIsTooLongToInspectPassesAndDropsTheFamily(t *testing.T) {
	var got atomic.Int64
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodGet {
			write(w, fmt.Sprint("answer ", n))
			return
		}
		size, _ := io.Copy(io.Discard, r.Body)
		got.Store(size)
	})
	s := start(t, b, writes, func(o *setup) { o.inspect = 100 })
	for _, body := range []io.Reader{strings.NewReader(`{"id":2,"x":"` + strings.Repeat("x", 200) +
		`"}`),
		io.MultiReader(strings.NewReader(`{"id":2,"x":"` + strings.Repeat("x", 200) +
			`"}`))} { // with its length, and in chunks
		still := s.cached("/items/1")
		if a := s.do(t.Context(), http.MethodPost, "/of/body", body); a.status != http.StatusOK ||
			got.Load() != 215 {
			t.Errorf("%d, the backend read %d bytes", a.status, got.Load())
		}
		if still() {
			t.Error("an entry of the family is served")
		}
		await(t, "it can be stored again",
			func() bool {
				s.get("/items/1")
				return strings.HasPrefix(s.get("/items/1").cache(),
					"hit")
			})
	}
}

// An upload closes nothing while it comes, however long that takes. Its end is held back until the
// write is announced.
func TestAnUploadIsAnnouncedAtItsEnd(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{8, -1} { // with its length, and in chunks
		t.Run(fmt.Sprint("length ", length), func(t *testing.T) {
			g, open := newGate(t)
			var got atomic.Int64
			var whole atomic.Bool
			b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
				if r.Method == http.MethodGet {
					write(w, fmt.Sprint("answer ", n))
					return
				}
				piece := make([]byte, 8)
				for {
					n, err := r.Body.Read(piece)
					got.Add(int64(n))
					if err != nil {
						break
					}
				}
				whole.Store(true)
				g.wait(r)
			})
			s := start(t, b, writes, func(o *setup) { o.inspect = 4 })
			other := start(t, b, writes, func(o *setup) { o.prefix = s.prefix })
			still := s.cached("/items/1")
			other.cached("/items/1")
			body, rest := io.Pipe()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut,
				s.url+"/items/1", body)
			check(t, err)
			req.ContentLength = length
			req.Header.Set("Authorization", "Basic eDp5")
			done := make(chan int)
			go func() {
				resp, err := client.Do(req)
				if err != nil {
					done <- 0
					return
				}
				_ = resp.Body.Close()
				done <- resp.StatusCode
			}()
			_, _ = io.WriteString(rest, "uplo")
			_, _ = io.WriteString(rest, "ad")
			await(t, "the backend has the beginning", func() bool { return got.Load() == 6 })
			for range 5 {
				here, elsewhere := s.get("/items/1").cache(), other.get("/items/1").cache()
				if !strings.HasPrefix(here, "hit") || !strings.HasPrefix(elsewhere, "hit") {
					t.Fatalf("while the upload comes: %q, %q", here, elsewhere)
				}
			}
			_, _ = io.WriteString(rest, "ed")
			_ = rest.Close()
			await(t, "the backend has all of it",
				func() bool { return got.Load() == 8 && whole.Load() })
			if a := other.get("/items/1"); !strings.HasSuffix(a.cache(), "detail=tag-closed") {
				t.Errorf("a reader elsewhere, with the whole request at the backend: %q", a.cache())
			}
			open()
			if status := <-done; status != http.StatusOK || still() {
				t.Errorf("the upload: %d", status)
			}
		})
	}
}

// Where a strict write cannot be announced, the backend never gets its end.
func TestAStrictUploadThatCannotBeAnnouncedIsNotSentToItsEnd(t *testing.T) {
	own := redisd.Start(t)
	whole := make(chan bool, 8)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		_, err := io.Copy(io.Discard, r.Body)
		whole <- err == nil
	})
	s := start(t, b, writes, func(o *setup) {
		o.redis, o.budget, o.inspect = own, 100*time.Millisecond, 4
	})
	own.Kill()
	if a := s.put("/strict/1",
		"a body that is not inspected"); a.status != http.StatusServiceUnavailable {
		t.Errorf("%d %q", a.status, a.cache())
	}
	select {
	case got := <-whole:
		if got {
			t.Error("the backend has the whole request")
		}
	case <-time.After(20 * time.Second):
		t.Error("the backend never had the beginning")
	}
}

// A backend that answers before the whole request has come is not announced after its answer.
func TestAnUploadThatIsAnsweredEarlyLeavesNothingClosed(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		write(w, fmt.Sprint("answer ", n))
	})
	s := start(t, b, writes, func(o *setup) {
		o.inspect = 4
		o.wrap = func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = http.NewResponseController(w).EnableFullDuplex()
				h.ServeHTTP(w, r)
			})
		}
	})
	still := s.cached("/items/1")
	body, rest := io.Pipe()
	go func() { _, _ = io.WriteString(rest, "the beginning") }()
	a := s.do(t.Context(), http.MethodPut, "/items/1", body, "Authorization: Basic eDp5")
	if a.status != http.StatusOK || still() {
		t.Errorf("%d %v", a.status, a.err)
	}
	_, _ = io.WriteString(rest, " and the end")
	_ = rest.Close()
	await(t, "it is stored again", still)
}

// A body that stalls is let go: the request goes on, and drops whole families.
func TestABodyThatStallsGoesOnUninspected(t *testing.T) {
	for _, c := range []struct {
		name string
		room *peek.Room
	}{
		{"it comes too slowly", peek.NewRoom(1<<20, 50*time.Millisecond)},
		{"others find no room", peek.NewRoom(64<<10, time.Minute)},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := make(chan string, 8)
			b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
				if r.Method == http.MethodPost {
					content, _ := io.ReadAll(r.Body)
					got <- string(content)
					return
				}
				write(w, fmt.Sprint("answer ", n))
			})
			s := start(t, b, writes, func(o *setup) { o.bodies = c.room })
			still := s.cached("/items/1")
			before := b.requests.Load()
			var rests []*io.PipeWriter
			done := make(chan answer, 8)
			for range 4 { // 24 KiB each
				body, rest := io.Pipe()
				rests = append(rests, rest)
				go func() {
					done <- s.do(t.Context(), http.MethodPost, "/of/body", body,
						"Content-Type: application/json", "Authorization: Basic eDp5")
				}()
				_, _ = io.WriteString(rest, `{"id":2,"x":"`+strings.Repeat("x", 24<<10))
			}
			await(t, "a request is at the backend",
				func() bool { return b.requests.Load() > before })
			for _, rest := range rests {
				go func() {
					_, _ = io.WriteString(rest, `"}`)
					_ = rest.Close()
				}()
			}
			for range rests {
				if a := <-done; a.status != http.StatusOK {
					t.Errorf("%d %v", a.status, a.err)
				}
				if content := <-got; content != `{"id":2,"x":"`+strings.Repeat("x", 24<<10)+`"}` {
					t.Errorf("the backend got %d bytes", len(content))
				}
			}
			if still() {
				t.Error("an entry of the family is served")
			}
		})
	}
}
