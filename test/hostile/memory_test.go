package hostile

import (
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// before starts a sidecar before an API whose bodies are of size bytes, and has /c/1 stored.
func before(t *testing.T, size int) (p *proc.Proc, address string) {
	t.Helper()
	body := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Length"] = nil
		_, _ = w.Write(body)
	}))
	t.Cleanup(api.Close)
	r := redisd.Start(t)
	p, address = start(t, api.URL, "REDIS_EMBEDDED=false", "REDIS_URL=redis://"+r.Addr(),
		"MEMORY_CACHE_SIZE=0", "GOGC=20")
	proc.Await(t, 60*time.Second, func() error {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet,
			"http://"+address+"/c/1", nil)
		if err != nil {
			return err
		}
		request.Host = "a"
		resp, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, _ = io.Copy(io.Discard, resp.Body)
		if !strings.HasPrefix(resp.Header.Get("Cache-Status"), "sidecar; hit") {
			return errors.New(resp.Header.Get("Cache-Status"))
		}
		return nil
	})
	return p, address
}

// heap are the bytes on the process's heap, garbage included.
func heap(t *testing.T, p *proc.Proc) int64 {
	t.Helper()
	ops := p.AwaitLine(time.Minute, `"msg":"listening".*"ops":"([^"]+)"`)[1]
	resp, err := http.Get("http://" + ops + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^go_memstats_heap_alloc_bytes (\S+)$`).FindSubmatch(text)
	if m == nil {
		t.Fatalf("no size of the heap: %s", text)
	}
	size, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		t.Fatal(err)
	}
	return int64(size)
}

// awaitHeld waits until at most so many MiB are allocated beyond rest. Requests meanwhile make the
// collector come.
func awaitHeld(t *testing.T, p *proc.Proc, address string, rest, most int64) {
	t.Helper()
	var held int64
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if held = (heap(t, p) - rest) >> 20; held <= most {
			t.Logf("they hold %d MiB", held)
			return
		}
		exchange(t, address, "GET /c/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
	}
	t.Errorf("they hold %d MiB", held)
}

// Types of frames (RFC 9113 §6).
const (
	frameHeaders  = 1
	frameReset    = 3
	frameSettings = 4
)

// ask2 begins HTTP/2 with the windows of streams closed, and opens a stream for each path.
func ask2(t *testing.T, address string, paths []string) *client {
	t.Helper()
	c := dial(t, address)
	frame := func(kind, flags byte, stream uint32, payload string) string {
		head := []byte{0, byte(len(payload) >> 8), byte(len(payload)), kind, flags}
		return string(binary.BigEndian.AppendUint32(head, stream)) + payload
	}
	const endStream, endHeaders = 1, 4
	text := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
		frame(frameSettings, 0, 0, "\x00\x04\x00\x00\x00\x00")
	for i, path := range paths {
		text += frame(frameHeaders, endStream|endHeaders, uint32(1+2*i),
			"\x82\x86\x04"+string(rune(len(path)))+path+"\x01\x01a")
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// awaitFrames reads frames until n of this kind have come.
func awaitFrames(t *testing.T, c *client, kind byte, n int) {
	t.Helper()
	for n > 0 {
		head := make([]byte, 9)
		if _, err := io.ReadFull(c.read, head); err != nil {
			t.Fatalf("%d frames of kind %d are missing: %v", n, kind, err)
		}
		if _, err := c.read.Discard(int(head[0])<<16 | int(head[1])<<8 | int(head[2])); err != nil {
			t.Fatal(err)
		}
		if head[3] == kind {
			n--
		}
	}
}

// 480 streams whose clients take nothing, of bodies of 1 MiB and of 6 MiB, which are stored in
// chunks: of one that is stored, and of as many others, which are fetched.
func TestStreamsWithClosedWindowsHoldLittleAndNotForGood(t *testing.T) {
	const each = 240
	for name, c := range map[string]struct {
		size int
		path string
		most int64 // MiB that they cost
		// of each connection's streams, soon: the others have 30 s, since they hold little
		resets int
	}{
		"hits, whole":       {1 << 20, "/c/1", 250, each - 32},
		"hits, in chunks":   {6 << 20, "/c/1", 250, 0},
		"misses, whole":     {1 << 20, "/c/x%d", 500, 0},
		"misses, in chunks": {6 << 20, "/c/x%d", 500, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, address := before(t, c.size)
			rest := heap(t, p)
			var clients []*client
			for nth := range 2 {
				paths := make([]string, each)
				for i := range paths {
					paths[i] = strings.Replace(c.path, "%d", strconv.Itoa(each*nth+i), 1)
				}
				clients = append(clients, ask2(t, address, paths))
			}
			for _, connection := range clients {
				awaitFrames(t, connection, frameHeaders, each)
			}
			awaitHeld(t, p, address, rest, c.most)
			for _, connection := range clients {
				awaitFrames(t, connection, frameReset, c.resets)
			}
		})
	}
}

// 300 readers over HTTP/1.1 that stand still on a body in chunks.
func TestReadersThatStandStillHoldLittle(t *testing.T) {
	t.Parallel()
	p, address := before(t, 6<<20)
	rest := heap(t, p)
	for range 300 {
		c := dial(t, address)
		_ = c.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		if _, err := io.WriteString(c, "GET /c/1 HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.read.Peek(1); err != nil {
			t.Fatal(err)
		}
	}
	awaitHeld(t, p, address, rest, 150)
}
