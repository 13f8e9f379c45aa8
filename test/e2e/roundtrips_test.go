package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/test/redisd"
)

// A monitor sees every command that clients send to a Redis, but for those that scripts make and
// those of the sidecar's own watch: its probe and its greeting.
type monitor struct {
	mu       sync.Mutex
	commands []string
}

func watch(t *testing.T, r *redisd.Server) *monitor {
	t.Helper()
	conn, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	m := &monitor{}
	lines := bufio.NewReader(conn)
	if ok, err := lines.ReadString('\n'); err != nil || ok != "+OK\r\n" {
		t.Fatalf("MONITOR: %q, %v", ok, err)
	}
	done := make(chan struct{})
	go func() { // ends with the connection
		defer close(done)
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			_, command, _ := strings.Cut(line, "] ")
			if strings.Contains(line, " lua] ") || strings.Contains(command, ":probe") ||
				strings.Contains(command, ":known:") ||
				strings.HasPrefix(strings.ToLower(command), `"info"`) ||
				strings.HasPrefix(strings.ToLower(command), `"hello"`) ||
				strings.HasPrefix(strings.ToLower(command), `"slowlog"`) {
				continue
			}
			m.mu.Lock()
			m.commands = append(m.commands, strings.TrimSpace(command))
			m.mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return m
}

// names are the names of the commands since the last call, in their order. It waits until a command
// of the test's own has come through.
func (m *monitor) names(t *testing.T, r *redisd.Server) (names []string) {
	t.Helper()
	mark := fmt.Sprintf("mark-%d", time.Now().UnixNano())
	r.Do("ECHO", mark)
	var seen []string
	awaitThat(t, "the monitor has caught up", func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		if !slices.ContainsFunc(m.commands,
			func(c string) bool { return strings.Contains(c, mark) }) {
			return false
		}
		seen, m.commands = m.commands, nil
		return true
	})
	for _, c := range seen {
		name, _, _ := strings.Cut(strings.TrimPrefix(c, `"`), `"`)
		if name = strings.ToLower(name); !strings.Contains(c, mark) && name != "client" &&
			name != "select" && name != "ping" {
			names = append(names, name)
		}
	}
	return names
}

// renewal is less than the time after which a lease is renewed.
const renewal = 500 * time.Millisecond

func TestAHitIsOneRoundTripAMissTwoBeforeTheBackendAWriteOneBeforeAndOneAfter(t *testing.T) {
	t.Parallel()
	r := redisd.Start(t)
	var m *monitor
	var before []string // the commands before the backend was asked
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if m != nil {
			before = m.names(t, r)
		}
		w.Header().Set("Content-Length", "2")
		_, _ = w.Write([]byte("ok"))
	}))
	t.Cleanup(b.Close)
	s := &stack{t: t, redis: r, api: b.URL}
	s.sidecar, s.url, s.ops = startSidecar(t, b.URL, r.Addr(), policiesFile(t, itemPolicies),
		"JOBS_REDIS_EMBEDDED=true") // whose workers send commands of their own
	s.awaitCaching()
	for range 2 { // every script and connection is there
		do(t, http.MethodPut, s.url+"/items/0", "x")
		do(t, http.MethodGet, s.url+"/items/0", nil)
		do(t, http.MethodGet, s.url+"/items/0", nil)
	}
	m = watch(t, r)

	expect := func(what string, got []string, want ...string) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: Redis sees %q, want %q", what, got, want)
		}
	}
	item := 0
	// miss asks for an item, prepared by prepare, that is not stored. A backend that answers
	// slowly, as on a busy machine, sees the lease renewed: then another item is asked for.
	miss := func(prepare func(url string)) (url string) {
		awaitThat(t, "a miss takes less than a renewal", func() bool {
			item++
			url = fmt.Sprintf("%s/items/%d", s.url, item)
			prepare(url)
			m.names(t, r)
			began := time.Now()
			do(t, http.MethodGet, url, nil)
			return time.Since(began) < renewal
		})
		return url
	}
	stored := func() (names []string) { // a store is behind the answer
		awaitThat(t, "the answer is stored", func() bool {
			names = append(names, m.names(t, r)...)
			return slices.Contains(names, "set")
		})
		return append(names, m.names(t, r)...)
	}
	url := miss(func(string) {})
	// The tokens are opened and the lease is taken in one pipeline, which is one round trip.
	expect("a miss, before the backend", before, "mget", "evalsha", "evalsha")
	expect("a miss, after its answer, in one pipeline", stored(), "set", "eval")
	if a := do(t, http.MethodGet, url, nil); !a.hit() {
		t.Fatalf("no hit: %q", a.cache())
	}
	expect("a hit", m.names(t, r), "mget")
	do(t, http.MethodPut, url, "x")
	expect("a write, before the backend", before, "evalsha")
	expect("a write, after it", m.names(t, r), "evalsha")
	miss(func(url string) { do(t, http.MethodPut, url, "x") })
	expect("a miss after a write, before the backend", before, "mget", "evalsha", "evalsha")
}
