package e2e

import (
	"bytes"
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
	"time"

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
	content  []byte
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
		w.Header().Set("Content-Type", "video/mp4")
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

// opened is an answer of which the head has come.
func opened(t *testing.T, ctx context.Context, url string, fields ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Cookie", "csrf_token=given-before")
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
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
	if s.status != http.StatusOK || s.err != nil || s.size != int64(len(content)) || s.sum != sha256.Sum256(content) {
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

// pieces are the keys of all pieces in Redis.
func pieces(t *testing.T, r *redisd.Server) []string {
	t.Helper()
	keys, err := r.Client().Keys(t.Context(), "sidecar:p:*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// patient are settings for a machine that others keep busy: nothing is given up for being slow.
var patient = []string{"REDIS_TIMEOUT=5s", "REDIS_STORE_TIMEOUT=10s"}

func TestALargeBodyIsNeverHeldWholeNeitherWhenItIsStoredNorWhenItIsServed(t *testing.T) {
	const bound = 25 * mib
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
			s := startBefore(t, b.URL, policiesFile(t, largePolicies), patient...)
			url := s.url + "/large/1"
			before := s.sidecar.RSS()
			s.sidecar.ResetPeak()
			for _, step := range []string{"stored", "a hit", "a second one"} {
				got := read(t, url)
				got.is(t, step, c.content)
				if got.hit() != (step != "stored") {
					t.Fatalf("%s: %q", step, got.cache())
				}
				if n := got.fields.Get("Content-Length"); got.hit() && n != strconv.Itoa(len(c.content)) {
					t.Errorf("%s: Content-Length %q", step, n)
				}
				grown := s.sidecar.PeakRSS() - before
				t.Logf("%s: the sidecar has grown by %d KiB", step, grown>>10)
				if grown > bound {
					t.Errorf("%s: the sidecar has grown by %d bytes for a body of %d", step, grown, len(c.content))
				}
			}
			if n := b.asked.Load(); n != 1 {
				t.Errorf("the backend was asked %d times", n)
			}
			if n := len(pieces(t, s.redis)); n != 200 {
				t.Errorf("%d pieces", n)
			}
		})
	}
}

func TestPartsOfALargeBodyReadOnlyThePiecesThatTheyNeed(t *testing.T) {
	content := noise(3*mib + 1)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies), patient...)
	url, size := s.url+"/large/1", len(content)
	read(t, url).is(t, "stored", content)
	m := watch(t, s.redis)
	for _, c := range []struct {
		what, method string
		fields       []string
		status       int
		first, end   int
		reads        int // of pieces
	}{
		{"a byte", "GET", []string{"Range: bytes=0-0"}, 206, 0, 1, 1},
		{"over an edge", "GET", []string{"Range: bytes=262143-262144"}, 206, 262143, 262145, 2},
		{"a whole piece", "GET", []string{"Range: bytes=262144-524287"}, 206, 262144, 524288, 1},
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
		if n := a.fields.Get("Content-Length"); c.method == "HEAD" && n != strconv.Itoa(size) || c.status == 206 && n != strconv.Itoa(c.end-c.first) {
			t.Errorf("%s: Content-Length %q", c.what, n)
		}
		reads := 0
		for _, name := range m.names(t, s.redis) {
			if name == "get" {
				reads++
			}
		}
		if reads != c.reads {
			t.Errorf("%s: %d pieces are read, want %d", c.what, reads, c.reads)
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

func TestABackendThatDiesInALargeBodyLeavesABrokenTransferAndNothingStored(t *testing.T) {
	content := noise(50 * mib)
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprintf("chunked %v", chunked), func(t *testing.T) {
			b := startLarge(t, content)
			b.chunked.Store(chunked)
			b.dieAt.Store(40 * mib)
			s := startBefore(t, b.URL, policiesFile(t, largePolicies), patient...)
			if got := read(t, s.url+"/large/1"); got.err == nil {
				t.Errorf("%d bytes that look complete", got.size)
			}
			awaitThat(t, "what was stored is deleted", func() bool { return len(pieces(t, s.redis)) == 0 })
			b.dieAt.Store(0)
			got := read(t, s.url+"/large/1")
			got.is(t, "the next one", content)
			if got.hit() {
				t.Errorf("%q", got.cache())
			}
		})
	}
}

// stalled reads the beginning of an answer and then nothing, until the backend is held back too.
func stalled(t *testing.T, b *large, url string) (resp *http.Response, leave func()) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	resp = opened(t, ctx, url)
	if _, err := io.ReadFull(resp.Body, make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	return resp, leave
}

func TestASlowClientOfALargeBodyHoldsTheBackendBackAndFillsNoMemory(t *testing.T) {
	content := noise(50 * mib)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies), patient...)
	before := s.sidecar.RSS()
	s.sidecar.ResetPeak()
	resp, leave := stalled(t, b, s.url+"/large/1")
	defer leave()
	defer resp.Body.Close()
	awaitThat(t, "the beginning is in pieces", func() bool { return len(pieces(t, s.redis)) >= 4 })
	// Others are not held up by it.
	fast := read(t, s.url+"/large/1")
	fast.is(t, "beside it", content)
	if fast.hit() {
		t.Errorf("beside it: %q", fast.cache())
	}
	if n := len(pieces(t, s.redis)); n > 100 {
		t.Errorf("%d pieces while the client reads nothing", n)
	}
	if grown := s.sidecar.PeakRSS() - before; grown > 25*mib {
		t.Errorf("the sidecar has grown by %d bytes", grown)
	}
	if got := rest(resp); got.err != nil || got.size != int64(len(content))-64<<10 {
		t.Errorf("the slow one gets %d bytes more, %v", got.size, got.err)
	}
	if again := read(t, s.url+"/large/1"); !again.hit() {
		t.Errorf("after it: %q", again.cache())
	} else {
		again.is(t, "after it", content)
	}
}

func TestAClientThatLeavesALargeBodyEndsTheBackendRequestAndWhatIsStored(t *testing.T) {
	content := noise(50 * mib)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies), patient...)
	resp, leave := stalled(t, b, s.url+"/large/1")
	awaitThat(t, "the beginning is in pieces", func() bool { return len(pieces(t, s.redis)) >= 4 })
	leave()
	_ = resp.Body.Close()
	awaitThat(t, "the backend request has ended", func() bool { return b.canceled.Load() == 1 })
	awaitThat(t, "what was stored is deleted", func() bool { return len(pieces(t, s.redis)) == 0 })
	got := read(t, s.url+"/large/1")
	got.is(t, "the next one", content)
	if got.hit() {
		t.Errorf("%q", got.cache())
	}
}

func TestALargeBodyThatHasLostAPieceIsNeverServedAsComplete(t *testing.T) {
	content := noise(50 * mib)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies), patient...)
	url, redis := s.url+"/large/1", s.redis.Client()
	store(t, url, content)
	lose := func(nth string) {
		for _, key := range pieces(t, s.redis) {
			if strings.HasSuffix(key, ":"+nth) {
				redis.Del(t.Context(), key)
			}
		}
	}
	for _, nth := range []string{"0", "7", "199"} {
		lose(nth)
		got := read(t, url)
		got.is(t, "without piece "+nth, content)
		if got.hit() || !containsAll(got.cache(), "detail=body-lost") {
			t.Errorf("without piece %s: %q", nth, got.cache())
		}
		if again := read(t, url); !again.hit() {
			t.Errorf("stored anew: %q", again.cache())
		}
	}
	for name, damage := range map[string]func(key string){
		"lost":    func(key string) { redis.Del(t.Context(), key) },
		"damaged": func(key string) { redis.SetRange(t.Context(), key, 1000, "damage") },
		"swapped": func(key string) {
			redis.Set(t.Context(), key, redis.Get(t.Context(), strings.TrimSuffix(key, "199")+"198").Val(), time.Hour)
		},
	} {
		resp := opened(t, t.Context(), url)
		if _, err := io.ReadFull(resp.Body, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		for _, key := range pieces(t, s.redis) {
			if strings.HasSuffix(key, ":199") {
				damage(key)
			}
		}
		if got := rest(resp); got.err == nil {
			t.Errorf("the last piece was %s meanwhile: %d bytes that look complete", name, got.size)
		}
		_ = resp.Body.Close()
		if name != "lost" { // to be found only when it is reached
			for _, key := range pieces(t, s.redis) {
				redis.Del(t.Context(), key)
			}
		}
		store(t, url, content)
	}
}

func TestARedisThatFreezesInALargeBodyCostsItsReaderNextToNothing(t *testing.T) {
	content := noise(20 * mib)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies), "BREAKER_TIMEOUT=300ms")
	resp, leave := stalled(t, b, s.url+"/large/1")
	defer leave()
	awaitThat(t, "the beginning is in pieces", func() bool { return len(pieces(t, s.redis)) >= 4 })
	s.redis.Freeze()
	began := time.Now()
	got := rest(resp)
	took := time.Since(began)
	_ = resp.Body.Close()
	s.redis.Thaw()
	if got.err != nil || got.size != int64(len(content))-64<<10 || took > 3*time.Second { // 100 ms, and a busy machine
		t.Errorf("%d bytes more in %v, %v", got.size, took, got.err)
	}
	awaitThat(t, "it is stored once Redis is back", func() bool { return read(t, s.url+"/large/1").hit() })
	read(t, s.url+"/large/1").is(t, "a hit", content)
}

func TestWhatTurnsOutToBeLargerThanMaxBodyStreamsThrough(t *testing.T) {
	content := noise(65 * mib)
	b := startLarge(t, content)
	b.chunked.Store(true)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies), patient...)
	for range 2 {
		got := read(t, s.url+"/large/1")
		got.is(t, "too large", content)
		if got.hit() {
			t.Errorf("%q", got.cache())
		}
	}
	awaitThat(t, "what was stored is deleted", func() bool { return len(pieces(t, s.redis)) == 0 })
}

func TestAWriteMakesALargeBodyOldAndItsPiecesGoWithTheNextStore(t *testing.T) {
	content := noise(2 * mib)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies), patient...)
	url := s.url + "/large/1"
	store(t, url, content)
	old := pieces(t, s.redis)
	do(t, http.MethodPut, url, "x")
	if got := read(t, url); got.hit() {
		t.Errorf("after a write: %q", got.cache())
	}
	if got := read(t, url); !got.hit() {
		t.Errorf("stored anew: %q", got.cache())
	}
	awaitThat(t, "what is replaced goes soon", func() bool {
		for _, key := range old {
			if ttl := s.redis.Client().PTTL(t.Context(), key).Val(); ttl > 5*time.Minute {
				return false
			}
		}
		return true
	})
	if n := len(pieces(t, s.redis)); n != 2*len(old) {
		t.Errorf("%d pieces: who reads the old one is cut off", n)
	}
}
