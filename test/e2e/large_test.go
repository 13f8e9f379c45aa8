package e2e

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"sidecar/test/redisd"
)

const largePolicies = `version: 1
routes:
  - {name: large, match: "GET /large/{id}", cache: {scope: shared, ttl: 1h, memory: 1m, max_body: 64MiB, tags: ["large:{id}"]}}
  - {match: "PUT /large/{id}", invalidate: ["large:{id}"]}
`

const mib = 1 << 20

// A large backend answers every GET with its content, as fast as the sidecar takes it.
type large struct {
	*httptest.Server
	content []byte

	contentType string // "": video/mp4

	chunked  atomic.Bool
	dieAt    atomic.Int64 // after how many bytes it breaks off; 0: it does not
	asked    atomic.Int64
	sent     atomic.Int64 // of the latest answer
	canceled atomic.Int64
}

func startLarge(t *testing.T, content []byte) *large {
	b := &large{content: content}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			return
		}
		b.asked.Add(1)
		b.sent.Store(0)
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Content-Type", cmp.Or(b.contentType, "video/mp4"))
		if !b.chunked.Load() {
			w.Header().Set("Content-Length", strconv.Itoa(len(b.content)))
		}
		for rest := b.content; len(rest) > 0; {
			n, err := w.Write(rest[:min(len(rest), 64<<10)])
			rest = rest[n:]
			if at := b.dieAt.Load(); at > 0 && b.sent.Add(int64(n)) >= at {
				panic(http.ErrAbortHandler)
			} else if err != nil {
				b.canceled.Add(1)
				return
			}
		}
	}))
	t.Cleanup(b.Server.Close)
	return b
}

// noise is content that nothing can shorten, the same every time.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{7})
	_, _ = r.Read(b)
	return b
}

// monotony is content that shrinks to nearly nothing.
func monotony(n int) []byte {
	return bytes.Repeat([]byte(`{"id": 1, "name": "Bilbo"},`), n/27+1)[:n]
}

// A stream is an answer that was read without being held.
type stream struct {
	answer
	sum  [sha256.Size]byte
	size int64
	err  error // of reading it
}

// read reads an answer of any size.
func read(t *testing.T, url string, fields ...string) stream {
	t.Helper()
	resp := opened(t, t.Context(), url, fields...)
	defer resp.Body.Close()
	return rest(resp)
}

func rest(resp *http.Response) stream {
	s := stream{answer: answer{status: resp.StatusCode, fields: resp.Header}}
	h := sha256.New()
	s.size, s.err = io.Copy(h, resp.Body)
	copy(s.sum[:], h.Sum(nil))
	return s
}

// opened is an answer whose head has come.
func opened(t *testing.T, ctx context.Context, url string, fields ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", "csrf_token=given-before")
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return resp
}

func (s stream) is(t *testing.T, what string, content []byte) {
	t.Helper()
	if s.status != http.StatusOK || s.err != nil || s.size != int64(len(content)) ||
		s.sum != sha256.Sum256(content) {
		t.Fatalf("%s: %d, %d bytes, %v, %q", what, s.status, s.size, s.err, s.cache())
	}
}

// store has an answer stored, and waits until it is: a hit waits for the store before it.
func store(t *testing.T, url string, content []byte) {
	t.Helper()
	read(t, url).is(t, "to be stored", content)
	got := read(t, url)
	got.is(t, "stored", content)
	if !got.hit() {
		t.Fatalf("no hit: %q", got.cache())
	}
}

// chunks are the keys of all chunks in Redis.
func chunks(t *testing.T, r *redisd.Server) []string {
	t.Helper()
	keys, err := r.Client().Keys(t.Context(), "sidecar:p:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// heldBound is how much a sidecar may grow for a body of 50 MiB, with the race detector's share. A
// body held whole takes over 50.
const heldBound = 40 * mib

func TestALargeBodyIsNeverHeldWholeNeitherWhenItIsStoredNorWhenItIsServed(t *testing.T) {
	for _, c := range []struct {
		name    string
		content []byte
		chunked bool
	}{
		{"that nothing shortens", noise(50 * mib), false},
		{"that shrinks to nearly nothing, of unknown length", monotony(50 * mib), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := startLarge(t, c.content)
			b.chunked.Store(c.chunked)
			s := startBefore(t, b.URL, policiesFile(t, largePolicies))
			url := s.url + "/large/1"
			before := s.sidecar.RSS()
			s.sidecar.ResetPeak()
			for _, step := range []string{"stored", "a hit", "a second one"} {
				got := read(t, url)
				got.is(t, step, c.content)
				if got.hit() != (step != "stored") {
					t.Fatalf("%s: %q", step, got.cache())
				}
				if n := got.fields.Get("Content-Length"); got.hit() &&
					n != strconv.Itoa(len(c.content)) {
					t.Errorf("%s: Content-Length %q", step, n)
				}
				grown := s.sidecar.PeakRSS() - before
				t.Logf("%s: the sidecar has grown by %d KiB", step, grown>>10)
				if grown > heldBound {
					t.Errorf("%s: the sidecar has grown by %d bytes for a body of %d",
						step, grown, len(c.content))
				}
			}
			if n := b.asked.Load(); n != 1 {
				t.Errorf("the backend was asked %d times", n)
			}
			if n := len(chunks(t, s.redis)); n != 200 {
				t.Errorf("%d chunks", n)
			}
		})
	}
}

func TestPartsOfALargeBodyReadOnlyTheChunksThatTheyNeed(t *testing.T) {
	t.Parallel()
	content := noise(3*mib + 1)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies))
	url, size := s.url+"/large/1", len(content)
	store(t, url, content)
	m := watch(t, s.redis)
	for _, c := range []struct {
		what, method string
		fields       []string
		status       int
		first, end   int
		reads        int // of chunks
	}{
		{"a byte", "GET", []string{"Range: bytes=0-0"}, 206, 0, 1, 1},
		{"over an edge", "GET", []string{"Range: bytes=262143-262144"}, 206, 262143, 262145, 2},
		{"a whole chunk", "GET", []string{"Range: bytes=262144-524287"}, 206, 262144, 524288, 1},
		{"the last byte", "GET", []string{"Range: bytes=-1"}, 206, size - 1, size, 1},
		{"all", "GET", nil, 200, 0, size, 13},
		{"HEAD", "HEAD", nil, 200, 0, 0, 0},
		{"a condition", "GET", []string{`If-None-Match: "v1"`}, 304, 0, 0, 0},
		{"beyond", "GET", []string{"Range: bytes=99999999-"}, 416, 0, 0, 0},
	} {
		m.names(t, s.redis)
		a := do(t, c.method, url, nil, c.fields...)
		if a.status != c.status || !a.hit() || !bytes.Equal(a.body, content[c.first:c.end]) {
			t.Errorf("%s: %d, %d bytes, %q", c.what, a.status, len(a.body), a.cache())
		}
		if n := a.fields.Get("Content-Length"); c.method == "HEAD" && n != strconv.Itoa(size) ||
			c.status == 206 && n != strconv.Itoa(c.end-c.first) {
			t.Errorf("%s: Content-Length %q", c.what, n)
		}
		reads := 0
		for _, name := range m.names(t, s.redis) {
			if name == "get" {
				reads++
			}
		}
		if reads != c.reads {
			t.Errorf("%s: %d chunks are read, want %d", c.what, reads, c.reads)
		}
	}
	a := do(t, http.MethodGet, url, nil, "Range: bytes=2097150-2097153, 5-6, -2")
	_, params, err := mime.ParseMediaType(a.fields.Get("Content-Type"))
	if err != nil || a.status != http.StatusPartialContent {
		t.Fatalf("several ranges: %d %v", a.status, err)
	}
	parts := multipart.NewReader(bytes.NewReader(a.body), params["boundary"])
	for _, want := range [][]byte{content[2097150:2097154], content[5:7], content[size-2:]} {
		part, err := parts.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(part); err != nil || !bytes.Equal(got, want) {
			t.Errorf("a part is %x, want %x (%v)", got, want, err)
		}
	}
	if n := b.asked.Load(); n != 1 {
		t.Errorf("the backend was asked %d times", n)
	}
}

// A body longer than 1 MiB is stored in chunks, whether its length is announced or not. A body
// longer than max_body is not stored.
func TestWhichBodiesGoIntoChunks(t *testing.T) {
	t.Parallel()
	content := noise(4 * mib)
	// path: /route/size/chunked
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/")
		size, _ := strconv.Atoi(parts[2])
		if parts[3] == "false" {
			w.Header().Set("Content-Length", parts[2])
		}
		_, _ = w.Write(content[:size])
	}))
	t.Cleanup(b.Close)
	s := startBefore(t, b.URL, policiesFile(t, `version: 1
routes:
  - {name: large, match: "GET /large/{size}/{chunked}", cache: {scope: shared, ttl: 1h, max_body: 3MiB}}
  - {name: usual, match: "GET /usual/{size}/{chunked}", cache: {scope: shared, ttl: 1h}}
`))
	for _, c := range []struct {
		route  string
		size   int
		stored bool
		chunks int
	}{
		{"large", mib - 1, true, 0},
		{"large", mib, true, 0},
		{"large", mib + 1, true, 5},
		{"large", mib + mib/4, true, 5},
		{"large", mib + mib/4 + 1, true, 6},
		{"large", 3*mib - 1, true, 12},
		{"large", 3 * mib, true, 12},
		{"large", 3*mib + 1, false, 0},
		{"usual", mib, true, 0},
		{"usual", mib + 1, false, 0},
	} {
		for _, chunked := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%d/%v", c.route, c.size, chunked), func(t *testing.T) {
				for _, key := range chunks(t, s.redis) {
					s.redis.Do("DEL", key)
				}
				url := fmt.Sprintf("%s/%s/%d/%v", s.url, c.route, c.size, chunked)
				awaitThat(t, "it is fetched with the cache in order", func() bool {
					got := read(t, url)
					got.is(t, "fetched", content[:c.size])
					again := read(t, url)
					again.is(t, "read again", content[:c.size])
					return again.hit() == c.stored
				})
				awaitThat(t, fmt.Sprintf("%d chunks", c.chunks),
					func() bool { return len(chunks(t, s.redis)) == c.chunks })
			})
		}
	}
}

// An answer that names its tags in its body is needed whole.
func TestABodyThatNamesItsTagsIsHeldWhole(t *testing.T) {
	t.Parallel()
	content := append(append([]byte(`{"id": 7, "text": "`), bytes.Repeat([]byte("x"), 2*mib)...),
		`"}`...)
	b := startLarge(t, content)
	b.contentType = "application/json"
	s := startBefore(t, b.URL, policiesFile(t, `version: 1
routes:
  - {name: large, match: "GET /large/{id}", cache: {scope: shared, ttl: 1h, max_body: 64MiB, tags: ["large:{response.body.id}"]}}
  - {match: "PUT /named/{id}", invalidate: ["large:{id}"]}
`))
	url := s.url + "/large/1"
	store(t, url, content)
	if n := len(chunks(t, s.redis)); n != 0 {
		t.Errorf("%d chunks", n)
	}
	do(t, http.MethodPut, s.url+"/named/7", "x")
	if got := read(t, url); got.hit() {
		t.Errorf("after a write to what it names: %q", got.cache())
	}
}
