package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func containsAll(s string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// refusing is a backend whose list anybody may read and nobody may write without credentials. It
// counts the writes that reach it.
func refusing(t *testing.T) (url string, writes *atomic.Int64) {
	writes = new(atomic.Int64)
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			fmt.Fprint(w, "the list")
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		writes.Add(1)
		if r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(b.Close)
	return b.URL, writes
}

const listPolicies = `version: 1
caller: {not_credentials: [Authorization]}
routes:
  - {name: list, match: GET /list, cache: {scope: shared, ttl: 1h, tags: ["list"]}}
  - {name: add, match: POST /list, invalidate: ["list"], consistency: CONSISTENCY, settle: SETTLE}
`

func listFile(t *testing.T, consistency, settle string) string {
	return policiesFile(t,
		strings.NewReplacer("CONSISTENCY", consistency, "SETTLE", settle).Replace(listPolicies))
}

func awaitHit(t *testing.T, url string) {
	t.Helper()
	awaitThat(t, url+" is a hit", func() bool { return do(t, http.MethodGet, url, nil).hit() })
}

func TestWritesThatAreRefusedKeepNothingOutOfTheCache(t *testing.T) {
	t.Parallel()
	api, writes := refusing(t)
	s := startBefore(t, api, listFile(t, "available", "0s"))
	awaitHit(t, s.url+"/list")
	for range 50 {
		if a := do(t, http.MethodPost, s.url+"/list", "mine"); a.status != http.StatusUnauthorized {
			t.Fatalf("POST: %d", a.status)
		}
		if a := do(t, http.MethodGet, s.url+"/list", nil); !a.hit() {
			t.Fatalf("after a refused write: %q", a.cache())
		}
	}
	if a := do(t, http.MethodPost, s.url+"/list", "mine",
		"Authorization: yes"); a.status != http.StatusNoContent || writes.Load() != 51 {
		t.Fatalf("POST: %d after %d writes", a.status, writes.Load())
	}
	if a := do(t, http.MethodGet, s.url+"/list", nil); a.hit() {
		t.Error("a write that was done invalidated nothing")
	}
}

func TestAStrictWriteIsNotSentWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	api, writes := refusing(t)
	for consistency, want := range map[string]int{
		"strict": http.StatusServiceUnavailable, "available": http.StatusNoContent,
	} {
		t.Run(consistency, func(t *testing.T) {
			s := startBefore(t, api, listFile(t, consistency, "0s"),
				hasty("BREAKER_TIMEOUT=300ms")...)
			awaitHit(t, s.url+"/list")
			before := writes.Load()
			s.redis.Freeze()
			a := do(t, http.MethodPost, s.url+"/list", "mine", "Authorization: yes")
			if a.status != want {
				t.Errorf("POST while Redis is frozen: %d %s", a.status, a.body)
			}
			if sent := writes.Load() > before; sent != (consistency == "available") {
				t.Errorf("the backend got it: %t", sent)
			}
			if consistency == "strict" &&
				(!containsAll(a.cache(), "write-not-announced") ||
					a.fields.Get("Content-Type") != "application/problem+json") {
				t.Errorf("the refusal says %q, %q", a.cache(), a.fields)
			}
			s.redis.Thaw()
			s.awaitCaching()
			awaitThat(t, "writes are taken again", func() bool {
				return do(t, http.MethodPost, s.url+"/list", "mine",
					"Authorization: yes").status == http.StatusNoContent
			})
			awaitHit(t, s.url+"/list")
		})
	}
}

func TestForTheSettleTimeNothingIsStored(t *testing.T) {
	t.Parallel()
	api, _ := refusing(t)
	s := startBefore(t, api, listFile(t, "available", "1s"))
	awaitHit(t, s.url+"/list")
	began := time.Now() // the sidecar counts from before its answer
	do(t, http.MethodPost, s.url+"/list", "mine", "Authorization: yes")
	answered := time.Now()
	a := do(t, http.MethodGet, s.url+"/list", nil)
	if time.Since(answered) < 900*time.Millisecond &&
		(a.hit() || !containsAll(a.cache(), "detail=tag-closed")) {
		t.Errorf("right after the write: %q", a.cache())
	}
	awaitHit(t, s.url+"/list")
	if took := time.Since(began); took < time.Second {
		t.Errorf("a hit %v after the write, which settles for 1s", took)
	}
}

// A client that sends its body slowly closes nothing meanwhile.
func TestASlowBodyKeepsNothingOutOfTheCache(t *testing.T) {
	t.Parallel()
	api, writes := refusing(t)
	s := startBefore(t, api, listFile(t, "available", "0s"))
	awaitHit(t, s.url+"/list")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn,
		"POST /list HTTP/1.1\r\nHost: a\r\nAuthorization: yes\r\nContent-Length: 4\r\n\r\nmi")
	for range 20 {
		if a := do(t, http.MethodGet, s.url+"/list", nil); !a.hit() {
			t.Fatalf("while a body is awaited: %q", a.cache())
		}
	}
	fmt.Fprint(conn, "ne")
	awaitThat(t, "the write is done", func() bool { return writes.Load() == 1 })
	awaitThat(t, "it invalidated",
		func() bool { return !do(t, http.MethodGet, s.url+"/list", nil).hit() })
}

// A body that is too long to be inspected may take its time: it closes nothing either.
func TestAnUploadMayBeSlowAndKeepsNothingOutOfTheCache(t *testing.T) {
	t.Parallel()
	api, writes := refusing(t)
	s := startBefore(t, api, listFile(t, "available", "0s"), "MAX_INSPECT_BODY=1KiB")
	awaitHit(t, s.url+"/list")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := bytes.Repeat([]byte("x"), 4096)
	fmt.Fprintf(conn,
		"POST /list HTTP/1.1\r\nHost: a\r\nAuthorization: yes\r\nContent-Length: %d\r\n\r\n%s",
		2*len(body), body)
	for began := time.Now(); time.Since(began) < 12*time.Second; time.Sleep(
		200 * time.Millisecond) {
		if a := do(t, http.MethodGet, s.url+"/list", nil); !a.hit() {
			t.Fatalf("while an upload comes: %q", a.cache())
		}
	}
	_, _ = conn.Write(body)
	awaitThat(t, "the write is done", func() bool { return writes.Load() == 1 })
	awaitThat(t, "it invalidated",
		func() bool { return !do(t, http.MethodGet, s.url+"/list", nil).hit() })
}
