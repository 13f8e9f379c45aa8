package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// chunked are the keys of the chunks of stored bodies.
func (s *sidecar) chunked() (keys []string) {
	s.t.Helper()
	found, _ := s.redis.Do("KEYS", s.prefix+":p:*").([]any)
	for _, k := range found {
		keys = append(keys, fmt.Sprint(k))
	}
	return keys
}

// storeLong has a body of two MiB stored in chunks.
func storeLong(t *testing.T) (*sidecar, *api) {
	t.Helper()
	b := backendThat(t, long(2<<20, true))
	s := start(t, b, large)
	if a := s.get("/items/1"); len(a.body) != 2<<20 || a.cache() != "fwd=uri-miss; stored" {
		t.Fatalf("%d bytes, %q", len(a.body), a.cache())
	}
	if a := s.get("/items/1", "Range: bytes=0-7"); !strings.HasPrefix(a.cache(), "hit") ||
		len(s.chunked()) < 8 {
		t.Fatalf("%q, %d chunks", a.cache(), len(s.chunked()))
	}
	b.new()
	return s, b
}

func TestALongBodyIsStoredInChunksAndServedWholeAndInParts(t *testing.T) {
	s, b := storeLong(t)
	whole := s.get("/items/1")
	if len(whole.body) != 2<<20 || whole.body[:8] != "1       " || whole.length() != 2<<20 {
		t.Errorf("the whole: %d bytes, %q", len(whole.body), whole.fields)
	}
	a := s.get("/items/1", "Range: bytes=262140-262150") // over the end of a chunk
	if a.status != http.StatusPartialContent || a.body != strings.Repeat("x", 11) ||
		a.fields.Get("Content-Range") != "bytes 262140-262150/2097152" {
		t.Errorf("a part: %d %q %q", a.status, a.body, a.fields.Get("Content-Range"))
	}
	if got := b.new(); got != "" {
		t.Errorf("the backend was asked %q", got)
	}
}

func TestABodyOfWhichAChunkIsLostIsFetchedAnew(t *testing.T) {
	s, b := storeLong(t)
	s.redis.Do("DEL", s.chunked()[0])
	a := s.get("/items/1")
	if len(a.body) != 2<<20 || a.body[0] != '2' ||
		!strings.HasPrefix(a.cache(), "fwd=miss; stored; detail=body-lost") {
		t.Errorf("%d bytes, %q", len(a.body), a.cache())
	}
	if got := b.new(); got != "GET /items/1" {
		t.Errorf("the backend was asked %q", got)
	}
	if a := s.get("/items/1"); a.body[0] != '2' || !strings.HasPrefix(a.cache(), "hit") {
		t.Errorf("then: %q", a.cache())
	}
}

func TestAChunkThatIsLostUnderWayBreaksTheAnswer(t *testing.T) {
	t.Parallel()
	b := backendThat(t, long(24<<20, true))
	s := start(t, b, strings.Replace(large, "3MiB", "32MiB", 1))
	s.get("/items/1")
	s.cached("/items/1")
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/items/1", nil)
	check(t, err)
	resp, err := client.Do(req)
	check(t, err)
	defer resp.Body.Close()
	for _, key := range s.chunked() {
		s.redis.Do("DEL", key)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err == nil || n >= 24<<20 {
		t.Errorf("%d bytes came, %v", n, err)
	}
}

// A body that its client does not read to the end is not stored, however long the backend would go
// on.
func TestALongBodyThatItsClientLeavesIsNotStored(t *testing.T) {
	g, open := newGate(t)
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if n > 1 {
			write(w, "later")
			return
		}
		w.Header().Set("Content-Length", fmt.Sprint(2<<20))
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<20+1))
		_ = http.NewResponseController(w).Flush()
		g.wait(r)
	})
	s := start(t, b, large)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/items/1", nil)
	check(t, err)
	resp, err := client.Do(req)
	check(t, err)
	if _, err := io.CopyN(io.Discard, resp.Body, 1<<20); err != nil {
		t.Fatal(err)
	}
	check(t, resp.Body.Close())
	open()
	if a := s.get("/items/1"); a.body != "later" {
		t.Errorf("the next one gets %d bytes, %q", len(a.body), a.cache())
	}
	await(t, "no chunk is left", func() bool { return len(s.chunked()) == 0 })
}

// An answer that names its tags in its body is held whole, and stored with them.
func TestABodyThatNamesItsTagsIsStoredWithThem(t *testing.T) {
	b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
		if r.Method == http.MethodGet {
			write(w, fmt.Sprintf(`{"item":[7,8],"n":%d}`, n), "Content-Type: application/json")
		}
	})
	s := start(t, b, writes)
	still := s.cached("/named/1")
	if s.put("/items/9", ""); !still() {
		t.Error("a write to another tag dropped it")
	}
	if s.put("/items/8", ""); still() {
		t.Error("a write to a tag of its body left it")
	}
}

func TestABodyThatLacksItsTagsIsNotStored(t *testing.T) {
	s := start(t, backendThat(t, says(`{`, "Content-Type: application/json")), writes)
	for range 2 {
		if a := s.get("/named/1"); strings.HasPrefix(a.cache(), "hit") || a.body != "{" {
			t.Errorf("%q %q", a.body, a.cache())
		}
	}
}

// ranged answers a range from the first byte on with 206 and all of the content, as it is asked
// for by players of video.
func ranged(content string, announced bool) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, r *http.Request, _ int) {
		if announced {
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		}
		if r.Header.Get("Range") != "" {
			w.Header().Set("Content-Range",
				fmt.Sprintf("bytes 0-%d/%[2]d", len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
		}
		_, _ = io.WriteString(w, content)
	}
}

func TestAPartThatIsTheWholeIsStoredAsTheWhole(t *testing.T) {
	t.Parallel()
	for _, size := range []int{10, 2 << 20} {
		for _, announced := range []bool{true, false} {
			content := strings.Repeat("v", size)
			b := backendThat(t, ranged(content, announced))
			s := start(t, b, large)
			a := s.get("/items/1", "Range: bytes=0-")
			if a.status != http.StatusPartialContent || a.body != content || a.err != nil {
				t.Fatalf("%d bytes: %d, %d bytes, %v", size, a.status, len(a.body), a.err)
			}
			await(t, "it is stored", func() bool {
				return strings.HasPrefix(s.get("/items/1", "Range: bytes=5-6").cache(), "hit")
			})
			b.new()
			whole := s.get("/items/1")
			part := s.get("/items/1", "Range: bytes=0-")
			if whole.status != http.StatusOK || whole.body != content ||
				whole.fields.Get("Content-Range") != "" {
				t.Errorf("the whole: %d, %d bytes, %q", whole.status, len(whole.body), whole.fields)
			}
			if part.status != http.StatusPartialContent || part.body != content {
				t.Errorf("the part: %d, %d bytes", part.status, len(part.body))
			}
			if got := b.new(); got != "" {
				t.Errorf("the backend was asked %q", got)
			}
		}
	}
}

func TestAPartThatIsShorterThanItSaysIsNotStored(t *testing.T) {
	for _, size := range []int{10, 2 << 20} {
		b := backendThat(t, func(w http.ResponseWriter, r *http.Request, n int) {
			if n == 1 {
				w.Header().Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", size, size+1))
				w.WriteHeader(http.StatusPartialContent)
			}
			_, _ = io.WriteString(w, strings.Repeat("v", size))
		})
		s := start(t, b, large)
		s.get("/items/1", "Range: bytes=0-")
		if a := s.get("/items/1"); strings.HasPrefix(a.cache(), "hit") {
			t.Errorf("%d bytes are a hit: %d bytes", size, len(a.body))
		}
	}
}

func TestABodyThatOutgrowsItsChunksReachesItsClientWhole(t *testing.T) {
	t.Parallel()
	b := backendThat(t, long(12<<20, false))
	s := start(t, b, large)
	if a := s.get("/items/1"); a.err != nil || len(a.body) != 12<<20 {
		t.Errorf("%d bytes, %q, %v", len(a.body), a.cache(), a.err)
	}
}
