package jobs

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/backend"
	"sidecar/internal/redisconn"
	"sidecar/policy"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

var shared *redisd.Server

func TestMain(m *testing.M) {
	proc.SideBySide(8) // they mostly wait
	os.Exit(redisd.Main(m, &shared))
}

const policies = `{version: 1, caller: {credentials: ["header:Authorization"]}, routes: [
  {name: craft, match: "POST /craft/{id}", invalidate: ["item:{id}", "by:{response.body.by}"],
   job: {mode: always, max_retry: 2, retention: 1h, timeout: 5s}}, {name: forge, match: "POST /forge",
   job: {mode: always, max_pending: 3, max_pending_per_caller: 2}}, {name: kiln, match: "POST /kiln",
   job: {mode: always, max_running: 2, max_running_per_caller: 1}}, {match: "GET /items/{id}",
   cache: {scope: shared, ttl: 1h, tags: ["item:{id}", "by:{response.body.by}"]}}]}`

// A world is a queue with a prefix of its own, before an API.
type world struct {
	*Jobs
	t    *testing.T
	api  *httptest.Server
	conn *redisconn.Conn
	cut  *interrupting // stands for the connection of the queue
	stop func()        // ends Run

	mu      sync.Mutex
	asked   []string        // Idempotency-Key of each request that the API got
	changed []cachekeys.Tag // invalidated by attempts
}

// newWorld returns a queue in r, before an API that answers as handler does. Its workers do not run
// yet.
func newWorld(t *testing.T, r *redisd.Server, handler http.HandlerFunc,
	change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t}
	w.api = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		w.asked = append(w.asked, r.Header.Get("Idempotency-Key"))
		w.mu.Unlock()
		_, _ = io.Copy(io.Discard, r.Body) // a server sees that a client left only after the body
		handler(rw, r)
	}))
	t.Cleanup(w.api.Close)
	names := cachekeys.NewNames(redisd.Prefix(t))
	w.conn = r.Connect(t, names, nil)
	w.cut = &interrupting{Redis: w.conn, before: map[string]func(){}}
	table, _, err := policy.Load([]byte(policies),
		policy.Options{Secret: func() []byte { return []byte("secret") }})
	if err != nil {
		t.Fatal(err)
	}
	api, err := backend.New(backend.Options{
		URL: w.api.URL, Timeout: 30 * time.Second, Dial: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(api.Close)
	o := Options{
		Redis: w.cut, Names: names, Prefix: redisd.Prefix(t), Plan: table.Plan, Backend: api,
		Unsent:      backend.IsUnsent,
		Invalidator: w, Queues: map[string]int{"default": 1}, Concurrency: 4,
		RetryBase: time.Millisecond, CutOffGrace: time.Millisecond,
		DrainTimeout: time.Second, Log: slog.New(slog.DiscardHandler),
	}
	for _, c := range change {
		c(&o)
	}
	if w.Jobs, err = New(o); err != nil {
		t.Fatal(err)
	}
	w.stop = w.during(w.Run)
	return w
}

// Changed implements Invalidator.
func (w *world) Changed(_ context.Context, tags []cachekeys.Tag) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changed = append(w.changed, tags...)
	return nil
}

// during calls run until the test ends, or until the returned function is called.
func (w *world) during(run func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); run(ctx) }()
	stop = func() { cancel(); <-ended }
	w.t.Cleanup(stop)
	return stop
}

// work runs the workers.
func (w *world) work() (stop func()) {
	return w.during(func(ctx context.Context) { _ = w.RunWorkers(ctx) })
}
