package e2e

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sidecar/test/proc"
)

// leavingPolicies cache two routes, one of them in memory too; the others of leavingAPI pass.
const leavingPolicies = `version: 1
routes:
  - {match: GET /cached, cache: {scope: shared, ttl: 1h}}
  - {match: GET /memory, cache: {scope: shared, ttl: 1h, memory: 1m}}
`

// leavingAPI has an answer to cache, one that takes longer than SHUTDOWN_DELAY, an event stream, a
// WebSocket that echoes, and writes.
func leavingAPI(t *testing.T, slow <-chan struct{}) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, "answer")
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-slow:
			fmt.Fprint(w, "late answer")
		case <-r.Context().Done():
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			fmt.Fprint(w, "data: tick\n\n")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer ws.CloseNow()
		for {
			kind, message, err := ws.Read(r.Context())
			if err != nil || ws.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// notices is how long readiness has to fail for a balancer.
const notices = 500 * time.Millisecond

// A balancer sends its clients to the sidecar until readiness has failed for a while.
type balancer struct {
	t       *testing.T
	sidecar string // host:port
	left    atomic.Bool
	served  atomic.Int64
	last    atomic.Int64 // answers that ended their connection
}

// watch asks for readiness until it has failed for so long.
func (b *balancer) watch(ops string) {
	defer b.left.Store(true)
	var failing time.Time
	for began := time.Now(); failing.IsZero() || time.Since(failing) < notices; {
		if time.Since(began) > time.Minute {
			b.t.Error("readiness does not fail")
			return
		}
		a, err := try(b.t.Context(), http.MethodGet, ops+"/readyz", nil)
		if err != nil {
			b.t.Errorf("/readyz: %v", err)
			return
		}
		if a.status != http.StatusOK && failing.IsZero() {
			failing = time.Now()
		}
		time.Sleep(20 * time.Millisecond) // the pace of the probe
	}
}

// keepAlive sends one request after another, each on the connection of the one before until an
// answer says that it was the last. It never sends a request twice.
func (b *balancer) keepAlive(request string) {
	for !b.left.Load() {
		conn, err := net.Dial("tcp", b.sidecar)
		if err != nil {
			b.t.Errorf("dial: %v", err)
			return
		}
		b.onConnection(conn, request)
		_ = conn.Close()
	}
}

func (b *balancer) onConnection(conn net.Conn, request string) {
	reader := bufio.NewReader(conn)
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	for n := 1; ; n++ {
		if _, err := io.WriteString(conn, request); err != nil {
			b.t.Errorf("request %d of a connection: %v", n, err)
			return
		}
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			b.t.Errorf("answer %d of a connection: %v", n, err)
			return
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || string(body) != "answer" {
			b.t.Errorf("answer %d of a connection: %d %q %v", n, resp.StatusCode, body, err)
			return
		}
		b.served.Add(1)
		if resp.Close {
			b.last.Add(1)
			return
		}
	}
}

// http2 is keepAlive for a client of HTTP/2, with as many requests at once.
func (b *balancer) http2(atOnce int) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &protocols}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	var asking sync.WaitGroup
	for range atOnce {
		asking.Go(func() {
			for !b.left.Load() {
				resp, err := c.Post("http://"+b.sidecar+"/write", "text/plain",
					strings.NewReader("content"))
				if err != nil {
					b.t.Errorf("by HTTP/2: %v", err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil || resp.StatusCode != http.StatusOK || string(body) != "answer" {
					b.t.Errorf("by HTTP/2: %d %q %v", resp.StatusCode, body, err)
				}
				b.served.Add(1)
			}
		})
	}
	asking.Wait()
}

func TestSIGTERMUnderLoadFailsNoRequest(t *testing.T) {
	t.Parallel()
	slow := make(chan struct{})
	s := startBefore(t, leavingAPI(t, slow), policiesFile(t, leavingPolicies),
		"SHUTDOWN_DELAY=5s", "SHUTDOWN_TIMEOUT=20s")
	b := &balancer{t: t, sidecar: strings.TrimPrefix(s.url, "http://")}
	var running sync.WaitGroup
	running.Go(func() { b.watch(s.ops) })
	for _, request := range []string{
		"GET /cached HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /memory HTTP/1.1\r\nHost: a\r\n\r\n", // answered below net/http
		"GET /passed HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /write HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\ncontent",
	} {
		for range 2 {
			running.Go(func() { b.keepAlive(request) })
		}
	}
	running.Go(func() { b.http2(3) })
	late := make(chan error, 1)
	go func() {
		a, err := try(t.Context(), http.MethodGet, s.url+"/slow", nil)
		if err == nil && string(a.body) != "late answer" {
			err = fmt.Errorf("%d %q", a.status, a.body)
		}
		late <- err
	}()
	proc.Await(t, 30*time.Second, func() error {
		if b.served.Load() < 200 {
			return errors.New("not under load yet")
		}
		return nil
	})

	s.sidecar.Signal(syscall.SIGTERM)
	running.Wait()
	if b.last.Load() < 8 {
		t.Errorf("%d connections were told to end, want 8", b.last.Load())
	}
	if a := do(t, http.MethodGet, s.ops+"/readyz", nil); a.status != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %d", a.status)
	}
	// Who has not noticed yet is served.
	if a := do(t, http.MethodGet, s.url+"/cached", nil); a.status != http.StatusOK {
		t.Errorf("while it leaves: %d", a.status)
	}
	s.sidecar.AwaitLine(30*time.Second, "ending: no new requests are taken")
	close(slow)
	if err := <-late; err != nil {
		t.Errorf("a request that was under way: %v", err)
	}
	if status := s.sidecar.Wait(30 * time.Second); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// The end of a pod with a native sidecar container: preStop runs, the API ends, and only then comes
// SIGTERM.
func TestLeaveSendsClientsElsewhereBeforeTheAPIEnds(t *testing.T) {
	t.Parallel()
	// with SHUTDOWN_DELAY=0
	s := startBefore(t, leavingAPI(t, nil), policiesFile(t, leavingPolicies))
	b := &balancer{t: t, sidecar: strings.TrimPrefix(s.url, "http://")}
	var running sync.WaitGroup
	running.Go(func() { b.watch(s.ops) })
	for range 3 {
		running.Go(func() { b.keepAlive("GET /passed HTTP/1.1\r\nHost: a\r\n\r\n") })
	}
	proc.Await(t, 30*time.Second, func() error {
		if b.served.Load() < 100 {
			return errors.New("not under load yet")
		}
		return nil
	})
	if b.last.Load() > 0 {
		t.Error("connections are ended before")
	}
	env := []string{"OPS_ADDR=" + strings.TrimPrefix(s.ops, "http://"), "ADMIN_TOKEN=" + adminToken}
	if status, output := sidecar(t, env, "leave"); status != 0 ||
		!strings.Contains(output, "leaving") {
		t.Fatalf("%d %s", status, output)
	}
	running.Wait() // all have been told
	if a := do(t, http.MethodGet, s.url+"/cached", nil); a.status != http.StatusOK {
		t.Errorf("who has not noticed is not served: %d", a.status)
	}
	if s.sidecar.Exited() {
		t.Error("the sidecar has ended by itself")
	}
	s.sidecar.Signal(syscall.SIGTERM)
	if status := s.sidecar.Wait(20 * time.Second); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// An open stream has a share of SHUTDOWN_TIMEOUT, and does not hold the end up for all of it.
func TestStreamsHaveATimeOfTheirOwnAtTheEnd(t *testing.T) {
	t.Parallel()
	s := startBefore(t, leavingAPI(t, nil), policiesFile(t, leavingPolicies),
		"SHUTDOWN_DELAY=500ms", "SHUTDOWN_TIMEOUT=10s")
	events, err := http.Get(s.url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer events.Body.Close()
	ws, _, err := websocket.Dial(t.Context(), s.url+"/socket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	s.sidecar.Signal(syscall.SIGTERM)
	s.sidecar.AwaitLine(20*time.Second, "ending: no new requests are taken")
	ending, late := time.Now(), proc.Late(t)

	lines := bufio.NewScanner(events.Body)
	for range 10 { // they go on
		if !lines.Scan() {
			t.Fatalf("the event stream has ended: %v", lines.Err())
		}
	}
	if err := ws.Write(t.Context(), websocket.MessageText, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	if _, message, err := ws.Read(t.Context()); string(message) != "still here" {
		t.Fatalf("%q %v", message, err)
	}
	ended := make(chan error, 2)
	go func() {
		for lines.Scan() {
		}
		ended <- lines.Err()
	}()
	go func() {
		_, _, err := ws.Read(context.Background())
		ended <- err
	}()
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("a stream that was broken off looks complete")
		}
	}
	if status := s.sidecar.Wait(20 * time.Second); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if took := time.Since(ending) - late(); took > 8*time.Second {
		t.Errorf("the end took %v, as long as SHUTDOWN_TIMEOUT allows for requests", took)
	}
	if s.sidecar.Count("ended before everything was done|still in flight") > 0 {
		t.Error("the streams were waited for")
	}
}

// A frame of HTTP/2 (RFC 9113 §4.1).
type frame struct {
	kind, flags byte
	stream      uint32
	payload     []byte
}

func readFrame(r io.Reader) (f frame, err error) {
	var head [9]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	f = frame{kind: head[3], flags: head[4], stream: binary.BigEndian.Uint32(head[5:])}
	f.payload = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err = io.ReadFull(r, f.payload)
	return f, err
}

// get2 is the HEADERS frame of a GET for "/" with :authority a.
func get2(stream byte) string {
	block := "\x82\x86\x84\x01\x01a" // RFC 7541: static indexes, and a literal of index 1
	return "\x00\x00" + string(byte(len(block))) + "\x01\x05\x00\x00\x00" + string(stream) + block
}

func TestHTTP2IsToldByGOAWAY(t *testing.T) {
	t.Parallel()
	s := startBefore(t, leavingAPI(t, nil), policiesFile(t, leavingPolicies), "SHUTDOWN_DELAY=2m")
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
	const emptySettings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	const headers, data, goaway = 1, 0, 7
	answered := func(stream byte) (told bool) {
		t.Helper()
		if _, err := io.WriteString(conn, get2(stream)); err != nil {
			t.Fatal(err)
		}
		for {
			f, err := readFrame(conn)
			if err != nil {
				t.Fatalf("stream %d: %v", stream, err)
			}
			told = told || f.kind == goaway
			if ended := f.flags&1 != 0; ended && (f.kind == headers || f.kind == data) {
				return told
			}
		}
	}
	if _, err := io.WriteString(conn,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"+emptySettings); err != nil {
		t.Fatal(err)
	}
	if answered(1) {
		t.Error("GOAWAY before the end")
	}
	s.sidecar.Signal(syscall.SIGTERM)
	s.sidecar.AwaitLine(20*time.Second, "leaving: everything is served")
	told := answered(3)
	for !told {
		f, err := readFrame(conn)
		if err != nil {
			t.Fatalf("the connection ends without GOAWAY: %v", err)
		}
		told = f.kind == goaway
	}
	s.sidecar.Kill() // the rest of SHUTDOWN_DELAY is not tested here
}
