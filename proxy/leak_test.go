package proxy_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/peek"
	"sidecar/proxy"
	"sidecar/test/origin"
	"sidecar/test/redisd"
)

const leakRoutes = `routes:
  - match: "GET /x/{how}/{id}"
    cache: {scope: shared, ttl: 1h, max_body: 2MiB, tags: ["x:{id}"]}
  - match: "GET /named/{how}/{id}"
    cache: {scope: private, ttl: 1m, tags: ["x:{response.body.id}"]}
  - {match: "PUT /x/{how}/{id}", invalidate: ["x:{id}"]}
  - {match: "PUT /named/{how}/{id}", invalidate: ["x:{response.body.id}"]}
  - {match: "PUT /sent/{how}/{id}", invalidate: ["x:{request.body.id}"]}
`

// quickEnds are ways in which the backend answers: the second segment of the path. There are
// others: "silent", where the sidecar gives up; "stalls", where the client has to; and "surplus",
// after which no connection is used twice.
var quickEnds = []string{
	"well", "tagged", "refuses", "ends", "resets", "short", "lost", "malformed", "long", "endless",
	"trailers", "unread",
}

// answerBadly answers as the path says.
func answerBadly(c *origin.Conn, r *origin.Request) {
	how := strings.Split(r.Target, "/")[2]
	if how != "unread" {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	const (
		ok    = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
		whole = ok + "Content-Length: 8\r\n\r\n{\"id\":1}"
		piece = 600 << 10
	)
	say := func(text string) bool {
		_, err := c.WriteString(text)
		return err == nil
	}
	switch how {
	case "silent":
		c.AwaitEnd()
	case "refuses":
		say("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
	case "ends":
		_ = c.Close()
	case "resets":
		c.Reset()
	case "stalls":
		say(ok + "Content-Length: 100\r\n\r\n{")
		c.AwaitEnd()
	case "short":
		say(ok + "Content-Length: 100\r\n\r\n{")
		_ = c.Close()
	case "lost":
		say(ok + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"id\"\r\n")
		_ = c.Close()
	case "surplus":
		say(ok + "Content-Length: 2\r\n\r\n{}{}")
	case "malformed":
		say("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")
	case "long": // is stored in chunks
		say(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s",
			ok, 2*piece, strings.Repeat("x", 2*piece)))
	case "endless": // longer than max_body
		say(ok + "Connection: close\r\n\r\n")
		for range 6 {
			if !say(strings.Repeat("x", piece)) {
				return
			}
		}
		_ = c.Close()
	case "tagged":
		say(strings.Replace(whole, "\r\n\r\n", "\r\nETag: \"a\"\r\n\r\n", 1))
	case "trailers":
		say(ok + "Trailer: X-A\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-A: 1\r\n\r\n")
	default:
		say(whole)
	}
}

// leave sends text and goes when as many bytes of the answer have come.
func (s *sidecar) leave(text string, bytes int) {
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Error(err)
		return
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(40 * time.Millisecond)) // where no answer comes
	if _, err = io.WriteString(c, text); err != nil {
		s.t.Error(err)
	}
	_, _ = io.ReadFull(c, make([]byte, bytes))
}

// clientEnds are the ways in which clients ask: they leave, or stay to the end. Each is given a
// path of its own.
func (s *sidecar) clientEnds() (gets, puts []func(path string)) {
	for _, bytes := range []int{0, 1, 400} {
		gets = append(gets, func(path string) {
			s.leave("GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n", bytes)
		})
	}
	const fields = " HTTP/1.1\r\nHost: a\r\nAuthorization: a\r\nContent-Length: "
	for _, length := range []int{2, 10, 1 << 20} { // whole; broken off; and one not inspected
		puts = append(puts, func(path string) {
			s.leave(fmt.Sprint("PUT ", path, fields, length, "\r\n\r\n{}"), 1)
		})
	}
	puts = append(puts, func(path string) {
		s.leave("PUT "+path+fields+"9\r\nExpect: 100-continue\r\n\r\n", 1)
	})
	return gets, puts
}

func (s *sidecar) patientClientEnds() (gets, puts []func(path string)) {
	put := func(path, body string, fields ...string) {
		s.do(s.t.Context(), "PUT", path, strings.NewReader(body), fields...)
	}
	return []func(string){func(path string) {
			s.get(path)
			s.get(path, `If-None-Match: "a"`, "Range: bytes=0-1")
		}}, []func(string){
			func(path string) { put(path, `{"id":1}`, "Authorization: a") },
			func(path string) { put(path, strings.Repeat("x", 100<<10)) },
		}
}

// goThrough goes through every pair of a way to answer and a way to ask, and with them through
// all pairs of each and a route. Where the answer has no end, nobody may stay for it.
func (s *sidecar) goThrough(hows []string, end bool) {
	var running sync.WaitGroup
	gets, puts := s.clientEnds()
	if end {
		patientGets, patientPuts := s.patientClientEnds()
		gets, puts = append(gets, patientGets...), append(puts, patientPuts...)
	}
	under := make(chan struct{}, 24)
	each := func(routes []string, ends []func(string)) {
		for i, how := range hows {
			for j, ask := range ends {
				path := fmt.Sprintf("/%s/%s/%d-%d", routes[(i+j)%len(routes)], how, i, j)
				running.Go(func() {
					under <- struct{}{}
					defer func() { <-under }()
					ask(path)
				})
			}
		}
	}
	each([]string{"x", "named"}, gets)
	each([]string{"x", "named", "sent"}, puts)
	running.Wait()
}

// ours are the goroutines of this module that no test owns.
func ours() (n int, stacks string) {
	var b bytes.Buffer
	_ = pprof.Lookup("goroutine").WriteTo(&b, 2)
	for stack := range strings.SplitSeq(b.String(), "\n\n") {
		if (strings.Contains(stack, "sidecar/internal/") ||
			strings.Contains(stack, "sidecar/proxy.")) &&
			!strings.Contains(stack, "sidecar/test/") &&
			!strings.Contains(stack, "proxy_test.Test") {
			n, stacks = n+1, stacks+stack+"\n\n"
		}
	}
	return n, stacks
}

// awaitSoon waits for less time than the product's and the origin's own patience, which would end a
// leak by itself.
func awaitSoon(t *testing.T, holds func() (ok bool, why string)) {
	t.Helper()
	for end := time.Now().Add(8 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		ok, why := holds()
		if ok {
			return
		}
		if time.Now().After(end) {
			t.Error(why)
			return
		}
	}
}

// leases are the keys of all leases.
func (s *sidecar) leases() any { return s.redis.Do("KEYS", s.prefix+":l:*") }

// intents are the keys of tags with writes that have not ended. The intents of one with an unknown
// outcome stay for a while.
func (s *sidecar) intents() (left []any) {
	keys, _ := s.redis.Do("KEYS", cachekeys.NewNames(s.prefix).IntentsPrefix()+"*").([]any)
	settled := time.Now().Add(coherence.UnknownSettle).UnixMilli()
	for _, key := range keys {
		if s.redis.Do("ZCOUNT", key, settled, settled+time.Hour.Milliseconds()) != int64(0) {
			left = append(left, key)
		}
	}
	return left
}

func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("the system does not tell the open files of a process")
	}
	return len(list)
}

// However requests end, nothing of them stays. It does not run beside other tests, since it counts
// what the process has.
func TestNoEndOfARequestLeavesAnythingBehind(t *testing.T) {
	// the collector closes connections that nobody refers to
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 30))
	o, own := origin.Start(t, answerBadly), redisd.Start(t)
	client.CloseIdleConnections()
	files := openFiles(t)
	t.Run("while it runs", func(t *testing.T) { leavesNothing(t, o, own) })
	client.CloseIdleConnections()
	awaitSoon(t, func() (bool, string) {
		n, open := o.Open(), openFiles(t)
		return n == 0 && open <= files,
			fmt.Sprintf("connections to the backend: %d; files: %d, at the start %d",
				n, open, files)
	})
}

func leavesNothing(t *testing.T, o *origin.Origin, own *redisd.Server) {
	room := peek.NewRoom(32<<20, 100*time.Millisecond)
	s := start(t, &api{Server: &httptest.Server{URL: o.URL()}}, leakRoutes, func(c *setup) {
		c.bodies, c.redis, c.budget, c.inspect = room, own, time.Second, 64<<10
		c.backend.Timeout, c.intents = 300*time.Millisecond, time.Minute
	})
	s.get("/x/well/start")
	client.CloseIdleConnections()
	goroutines, _ := ours()
	awaitAll := func() {
		t.Helper()
		client.CloseIdleConnections()
		awaitSoon(t, func() (bool, string) {
			held, inHand := room.Used(), proxy.InHand(s.proxy)
			return held == 0 && inHand == 0,
				fmt.Sprintf("bytes held: %d of requests, %d of answers", held, inHand)
		})
		awaitSoon(t, func() (bool, string) {
			n, stacks := ours()
			return n <= goroutines,
				fmt.Sprintf("goroutines: %d, at the start %d\n%s", n, goroutines, stacks)
		})
	}
	settled := func() {
		t.Helper()
		awaitAll()
		if leases := fmt.Sprint(s.leases()); leases != "[]" { // they would run out by themselves
			t.Error("leases:", leases)
		}
		awaitSoon(t, func() (bool, string) {
			intents := s.intents()
			return len(intents) == 0, fmt.Sprint("intents: ", intents)
		})
	}
	s.goThrough(quickEnds, true)
	settled()
	s.goThrough([]string{"silent"}, true)
	settled()
	s.goThrough([]string{"stalls"}, false)
	settled()
	s.goThrough([]string{"surplus"}, true)
	proxy.HandOver(s.joined(), func() { panic("the work") })
	settled()

	own.Freeze()
	var running sync.WaitGroup
	gets, puts := s.clientEnds()
	patientGets, patientPuts := s.patientClientEnds()
	for i, ask := range slices.Concat(gets, puts, patientGets, patientPuts) {
		running.Go(func() { ask(fmt.Sprint("/x/well/frozen-", i)) })
	}
	running.Wait()
	own.Thaw()
	awaitAll()
}
