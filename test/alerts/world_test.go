package alerts

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/proc"
	"sidecar/test/redisd"
)

const policies = `version: 1
caller:
  credentials: ["header:Authorization"]
  jwt: {secret_env: JWT_SECRET, algorithms: [HS256]}
routes:
  - {name: item, match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, tags: ["item:{id}"],
     verify: {share: 20%}}}
  - {name: item_write, match: "PUT /items/{id}", invalidate: ["item:{id}"]}
  - {name: me, match: "GET /me", cache: {scope: private, ttl: 1h}}
  - {name: search, match: "GET /search", cache: {scope: shared, ttl: 1h}}
  - {name: cookie, match: "GET /cookie", cache: {scope: shared, ttl: 1h}}
  - {name: report, match: "POST /reports", job: {mode: always, max_retry: 0, timeout: 10s}}
`

const (
	adminToken = "the admin token of this test"
	jwtSecret  = "a secret of this test that is long enough"
	// tick is the time between two rounds of requests of a world's clients.
	tick = 50 * time.Millisecond
	// maxInFlight bounds the rounds of a world that go on at once.
	maxInFlight = 32
)

// A world is a sidecar under load, with an API and a Redis of its own, so that each fault has one.
type world struct {
	t        *testing.T
	name     string
	redis    *redisd.Server
	api      *api
	sidecar  *proc.Proc
	program  string
	policies string // the file
	data     string // base URLs
	ops      string
	client   *http.Client
	issuers  *certificates

	stalling  atomic.Int64 // nanoseconds for which something blocks Redis once a second
	searching atomic.Bool  // clients search
	repeating atomic.Bool  // for the same thing
	forging   atomic.Bool  // clients send tokens of another key
}

func startWorld(t *testing.T, f fault, issuers *certificates) *world {
	t.Helper()
	var options []redisd.Option
	var env []string
	if f.tls {
		good := issuers.ca.Host()
		options = []redisd.Option{redisd.TLS(good), redisd.Config("tls-auth-clients no")}
		env = []string{"REDIS_TLS=true", "REDIS_TLS_CA_FILE=" + good.CA}
	}
	w := &world{
		t: t, name: f.name, redis: redisd.Start(t, options...), api: startAPI(t),
		issuers:  issuers,
		program:  proc.Build(t, "../../cmd/sidecar"),
		policies: filepath.Join(t.TempDir(), "policies.yaml"),
		client: &http.Client{
			Timeout:   20 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: maxInFlight},
		},
	}
	w.write(policies)
	w.sidecar = proc.Start(t, proc.Cmd{Path: w.program, Env: append([]string{
		"BACKEND_URL=http://" + w.api.addr, "BACKEND_TIMEOUT=2s",
		"REDIS_HOST=" + w.redis.Host(), "REDIS_PORT=" + w.redis.Port(),
		"POLICIES_FILE=" + w.policies, "LISTEN_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0",
		"ADMIN_TOKEN=" + adminToken, "JWT_SECRET=" + jwtSecret,
		"KEY_SECRET=another secret of this test, long enough", "LOG_FORMAT=json",
		// a busy machine is no slow Redis
		"REDIS_TIMEOUT=2s", "REDIS_STORE_TIMEOUT=5s", "BREAKER_TIMEOUT=1s", "SHUTDOWN_DELAY=0s",
	}, append(env, f.env...)...)})
	m := w.sidecar.AwaitLine(time.Minute, `"data":"([^"]+)","ops":"([^"]+)"`)
	w.data, w.ops = "http://"+m[1], "http://"+m[2]
	w.load()
	return w
}

// write writes the policies file, as a new one, like an editor.
func (w *world) write(content string) {
	w.t.Helper()
	beside := w.policies + ".new"
	err := os.WriteFile(beside, []byte(content), 0o600)
	if err == nil {
		err = os.Rename(beside, w.policies)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// load sends requests until the test ends.
func (w *world) load() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	w.t.Cleanup(func() {
		cancel()
		running.Wait()
		w.client.CloseIdleConnections()
	})
	running.Go(func() { w.stall(ctx) })
	running.Go(func() {
		room := make(chan struct{}, maxInFlight)
		every := time.NewTicker(tick)
		defer every.Stop()
		for i := 0; ; i++ {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
			}
			select {
			case room <- struct{}{}:
				running.Go(func() { w.round(ctx, i); <-room })
			default: // all are under way: this one is left out
			}
		}
	})
}

// stall blocks Redis again and again, as a neighbour's slow command would.
func (w *world) stall(ctx context.Context) {
	client := w.redis.Client()
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			if d := time.Duration(w.stalling.Load()); d > 0 {
				_ = client.Do(ctx, "DEBUG", "SLEEP", d.Seconds()).Err()
			}
		}
	}
}

// round sends some requests. A failure is the matter of the rules.
func (w *world) round(ctx context.Context, i int) {
	w.send(ctx, "GET", fmt.Sprint("/items/", i%7), "")
	switch i % 40 {
	case 3, 23:
		w.send(ctx, "PUT", fmt.Sprint("/items/", i/20%7), "")
	case 7:
		w.send(ctx, "GET", "/elsewhere", "")
	case 11:
		w.send(ctx, "GET", "/cookie", "")
	case 15, 35:
		w.send(ctx, "POST", "/reports", token(jwtSecret))
	}
	key := jwtSecret
	if w.forging.Load() {
		key = "the key of yesterday, which is long enough"
	}
	w.send(ctx, "GET", "/me", token(key))
	if w.repeating.Load() {
		i = 0
	}
	if w.searching.Load() {
		w.send(ctx, "GET", fmt.Sprint("/search?at=", i), "")
	}
}

func (w *world) send(ctx context.Context, method, path, bearer string) {
	r, err := http.NewRequestWithContext(ctx, method, w.data+path, strings.NewReader(""))
	if err != nil {
		return
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	resp, err := w.client.Do(r)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
}

// token is a JWT, signed with HS256.
func token(key string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256"}`)) + "." + encode([]byte(`{"sub":"mia"}`))
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

// ask asks the ops address.
func (w *world) ask(path string) (status int, body string, err error) {
	r, err := http.NewRequest(http.MethodGet, w.ops+path, nil)
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Authorization", "Bearer "+adminToken)
	resp, err := w.client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

// status is /status.
func (w *world) status() (doc map[string]any, err error) {
	_, body, err := w.ask("/status")
	if err == nil {
		err = json.Unmarshal([]byte(body), &doc)
	}
	return doc, err
}

// page is what the page at the ops address is given to show.
func (w *world) page() (string, error) {
	resp, err := w.client.Get(w.ops + "/ui/events")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	for !bytes.HasSuffix(text.Bytes(), []byte("\n\n")) {
		if _, err := io.CopyN(&text, resp.Body, 1); err != nil {
			return "", err
		}
	}
	return text.String(), nil
}

// run runs a command of the sidecar against this one.
func (w *world) run(args ...string) (out string, status int) {
	w.t.Helper()
	p := proc.Start(w.t, proc.Cmd{Path: w.program, Args: args, Dir: filepath.Dir(w.policies),
		Env: []string{"ADMIN_TOKEN=" + adminToken,
			"OPS_ADDR=" + strings.TrimPrefix(w.ops, "http://"),
			"JWT_SECRET=" + jwtSecret}})
	status = p.Wait(time.Minute)
	return strings.Join(p.Lines(), "\n"), status
}

// An api is the API behind a sidecar. It can be made to fail.
type api struct {
	t      *testing.T
	addr   string
	server *http.Server

	answer atomic.Int64  // status of all answers; 0: as it should be
	hang   atomic.Bool   // it takes requests, and does not answer
	slow   atomic.Int64  // nanoseconds that a report takes
	refuse atomic.Int64  // status of reports; 0: 200
	past   atomic.Uint64 // writes that did not come through the sidecar

	mu    sync.Mutex
	items map[string]int // how often each was written
}

func startAPI(t *testing.T) *api {
	t.Helper()
	a := &api{t: t, addr: "127.0.0.1:0", items: map[string]int{}}
	a.listen()
	t.Cleanup(func() { _ = a.server.Close() })
	return a
}

// listen begins to listen, on the same port as before.
func (a *api) listen() {
	a.t.Helper()
	l, err := net.Listen("tcp", a.addr)
	if err != nil {
		a.t.Fatal(err)
	}
	a.addr = l.Addr().String()
	a.server = &http.Server{Handler: a, ReadHeaderTimeout: time.Minute}
	go func(s *http.Server) { _ = s.Serve(l) }(a.server) // ends when the server is closed
}

// close ends the API: its port refuses connections.
func (a *api) close() { _ = a.server.Close() }

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	out.Header().Set("Content-Type", "application/json")
	if a.hang.Load() {
		<-r.Context().Done()
		return
	}
	if status := a.answer.Load(); status != 0 {
		out.WriteHeader(int(status))
		return
	}
	switch {
	case r.URL.Path == "/me" && r.Header.Get("Authorization") != "Bearer "+token(jwtSecret):
		out.WriteHeader(http.StatusUnauthorized)
		return
	case r.URL.Path == "/cookie":
		out.Header().Set("Set-Cookie", "a=b")
	case r.URL.Path == "/reports":
		select {
		case <-time.After(time.Duration(a.slow.Load())):
		case <-r.Context().Done():
			return
		}
		if status := a.refuse.Load(); status != 0 {
			out.WriteHeader(int(status))
			return
		}
	case r.Method == http.MethodPut:
		a.mu.Lock()
		a.items[r.URL.Path]++
		a.mu.Unlock()
	}
	a.mu.Lock()
	n := a.items[r.URL.Path]
	a.mu.Unlock()
	_, _ = fmt.Fprintf(out, `{"path": %q, "written": %d, "past": %d}`, r.URL.Path, n, a.past.Load())
}
