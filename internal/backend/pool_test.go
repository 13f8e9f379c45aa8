package backend

import (
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"sidecar/test/origin"
)

// waiting is a connection to which nothing comes.
func waiting() *conn {
	c := newConn(&wire{Reader: strings.NewReader("")})
	c.quiet = func() bool { return true }
	return c
}

func isClosed(c *conn) bool { return c.Conn.(*wire).closed.Load() }

func TestTheConnectionThatWasUsedLastIsUsedNext(t *testing.T) {
	p := &pool{}
	defer p.Close()
	first, second, third := waiting(), waiting(), waiting()
	p.put(first)
	p.put(second)
	if got := taken(p); got != second {
		t.Error("it is not the latest")
	}
	p.put(third)
	if taken(p) != third || taken(p) != first || taken(p) != nil {
		t.Error("they do not come in their order")
	}
}

func TestAConnectionOnWhichSomethingCameIsPassedOver(t *testing.T) {
	p := &pool{}
	defer p.Close()
	good, bad := waiting(), waiting()
	bad.quiet = func() bool { return false }
	p.put(good)
	p.put(bad)
	if taken(p) != good || !isClosed(bad) || isClosed(good) {
		t.Error("it is used, or left open")
	}
}

func TestIdleConnectionsAreBounded(t *testing.T) {
	p := &pool{}
	defer p.Close()
	for range idleConnections {
		p.put(waiting())
	}
	one := waiting()
	if p.put(one); !isClosed(one) || len(p.idle) != idleConnections {
		t.Errorf("%d are kept", len(p.idle))
	}
}

func TestIdleConnectionsAreClosedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{}
		defer p.Close()
		first, second, third := waiting(), waiting(), waiting()
		expect := func(when string, closed ...bool) {
			t.Helper()
			synctest.Wait()
			for i, c := range []*conn{first, second, third} {
				if isClosed(c) != closed[i] {
					t.Errorf("%s: the connection %d is closed: %v", when, i+1, isClosed(c))
				}
			}
		}
		p.put(first)
		time.Sleep(idleTimeout / 2)
		p.put(second)
		p.put(third)
		time.Sleep(idleTimeout/2 - time.Second)
		expect("before the time of the first", false, false, false)
		time.Sleep(time.Second)
		expect("at the time of the first", true, false, false)
		if taken(p) != third {
			t.Error("it is not there")
		}
		p.put(third)
		time.Sleep(idleTimeout / 2)
		expect("at the time of the second", true, true, false)
		time.Sleep(idleTimeout / 2)
		expect("at the time of the third", true, true, true)
		fourth := waiting()
		p.put(fourth)
		time.Sleep(idleTimeout)
		if synctest.Wait(); !isClosed(fourth) {
			t.Error("one that came after none were left stays open")
		}
	})
}

func TestAClosedPoolKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{}
		before, after := waiting(), waiting()
		p.put(before)
		p.Close()
		p.put(after)
		if !isClosed(before) || !isClosed(after) || taken(p) != nil {
			t.Error("a connection stays")
		}
		// a timer that still ran would find nothing, and panic on nothing
		time.Sleep(2 * idleTimeout)
	})
}

func TestQuiet(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		for _, tt := range []struct {
			name string
			do   func(net.Conn)
			want bool
		}{
			{"nothing came", func(net.Conn) {}, true},
			{"a byte came", func(c net.Conn) { _, _ = c.Write([]byte("x")) }, false},
			{"the end came", func(c net.Conn) { _ = c.Close() }, false},
		} {
			t.Run(network+", "+tt.name, func(t *testing.T) {
				near, far := pair(t, network)
				quiet := quietOf(near, new(bool))
				if !quiet() {
					t.Fatal("before anything came")
				}
				tt.do(far)
				if !tt.want {
					awaitNoise(t, quiet)
					return
				}
				if !quiet() {
					t.Error("something is found")
				}
				_, _ = far.Write([]byte("abc"))
				b := make([]byte, 8)
				if n, err := near.Read(b); string(b[:n]) != "abc" {
					t.Errorf("after the look comes %q, %v", b[:n], err)
				}
			})
		}
	}
	t.Run("a connection that cannot be looked at", func(t *testing.T) {
		if quietOf(&wire{}, new(bool))() {
			t.Error("it counts as quiet")
		}
	})
}

// awaitNoise waits until something has come, and takes a byte of it.
func awaitNoise(t *testing.T, quiet func() bool) {
	t.Helper()
	for begin := time.Now(); quiet(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 10*time.Second {
			t.Fatal("nothing is found")
		}
	}
}

func TestWhatComesUnaskedIsNobodysAnswer(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		for _, method := range []string{"GET", "DELETE"} { // that one is never sent twice
			t.Run(fmt.Sprintf("%s, trusted: %t", method, trusted), func(t *testing.T) {
				nobodysAnswer(t, method, trusted)
			})
		}
	}
}

func nobodysAnswer(t *testing.T, method string, trusted bool) {
	var requests atomic.Int32
	read := make(chan bool, 1)
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		if requests.Add(1) == 1 {
			_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			<-read
			_, _ = c.WriteString("-HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			c.AwaitEnd()
			return
		}
		_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood")
	})
	b, err := New(Options{URL: o.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if trusted {
		b.idle.trials = maxTrials
	}
	ask := func() string {
		out, _ := b.Outgoing(httptest.NewRequest(method, "/", nil), "")
		resp, err := b.RoundTrip(t.Context(), out, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return string(body)
	}
	ask()
	read <- true
	awaitNoise(t, b.idle.idle[0].quiet) // it takes the '-'; the rest would be an answer
	if body := ask(); body != "good" || o.Connections() != 2 || requests.Load() != 2 {
		t.Errorf("%q on %d connections, by %d requests", body, o.Connections(), requests.Load())
	}
	if b.idle.wary.IsZero() {
		t.Error("the backend is still trusted")
	}
}

func TestABackendThatSaysTooMuchIsNotTrustedForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &pool{}
		defer p.Close()
		kept := func() bool { // whether a connection that becomes idle is used again
			p.put(waiting())
			c := taken(p)
			if c != nil {
				_ = c.Close()
			}
			return c != nil
		}
		speaking := func(after time.Duration) {
			c := waiting()
			c.quiet, c.spoke = func() bool { return false }, true
			p.put(c)
			time.Sleep(after)
			if taken(p) != nil {
				t.Error("it is used again")
			}
		}
		speaking(surplusTime) // the end of an idle connection
		if !kept() {
			t.Error("what comes late counts as surplus")
		}
		speaking(0)
		if kept() {
			t.Error("it is trusted at once")
		}
		time.Sleep(waryTime)
		if !kept() {
			t.Error("it is not trusted again")
		}
		p.put(waiting())
		p.beWary()
		if taken(p) != nil || kept() {
			t.Error("what was idle before is used")
		}
	})
}

// A backend that says too much a little later is found out before it is trusted.
func TestWhatComesAWhileAfterTheFirstAnswersIsNobodysAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, proven := range []int{0, maxTrials - 1, maxTrials} {
			p := &pool{}
			for range proven {
				p.put(waiting())
				begin := time.Now()
				if taken(p) == nil || time.Since(begin) != trialTime {
					t.Errorf("a quiet connection is lost, or used after %v", time.Since(begin))
				}
			}
			c := waiting()
			end := time.Now().Add(trialTime / 2)
			c.quiet = func() bool {
				c.spoke = !time.Now().Before(end)
				return !c.spoke
			}
			p.put(c)
			if used := taken(p) != nil; used != (proven == maxTrials) {
				t.Errorf("after %d trials: used %t", proven, used)
			}
			p.Close()
		}
	})
}

// pair is a connection and its other end.
func pair(t *testing.T, network string) (near, far net.Conn) {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = t.TempDir() + "/s"
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = net.Dial(network, l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
	})
	return near, far
}

// taken is the connection that the pool gives, checked.
func taken(p *pool) *conn {
	c, _ := p.get(time.Now(), false)
	return c
}
