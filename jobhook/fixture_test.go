package jobhook

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/backend"
	"sidecar/internal/httpfield"
	"sidecar/internal/jobs"
	"sidecar/internal/peek"
	"sidecar/internal/reason"
	"sidecar/policy"
	"sidecar/test/redisd"
)

var shared *redisd.Server

func TestMain(m *testing.M) { os.Exit(redisd.Main(m, &shared)) }

const policies = `{version: 1, caller: {credentials: ["header:Authorization"]}, routes: [{name: craft,
  match: "POST /craft", job: {mode: always, max_retry: 0, retention: 1h, timeout: 5s, max_body: 32B}},
  {match: "POST /patient", job: {mode: after, after: 20s}}, {match: "POST /hasty", job: {mode: after, after: 50ms}},
  {match: "POST /asked", job: {mode: prefer}},
  {name: open, match: "POST /open", job: {mode: always, access: link, idempotency_field: X-Hook-Id, max_body: 32B,
   over_body: refuse, cors: {origins: ["https://game.example"], credentials: true}}},
  {match: "POST /once", job: {mode: always, unique_for: 1h}},
  {match: "POST /single", job: {mode: always, max_pending: 1}},
  {match: "POST /own", job: {mode: always, max_pending_per_caller: 1}}]}`

// A front is a server with the hook on it, and the queue and the API behind it.
type front struct {
	*Hook
	t        *testing.T
	url      string
	names    cachekeys.Names
	secret   []byte // of callers; nil: not known yet
	passed   string // body of the last request that the hook did not take
	fields   http.Header
	why      reason.Reason
	failures int
	budget   time.Duration // of Redis, for one request
	mu       sync.Mutex
	ops      []string // of Redis
}

// newFront returns a hook on r before an API that answers as handler does; without one no worker
// runs.
func newFront(t *testing.T, r *redisd.Server, handler http.HandlerFunc,
	sealer *jobs.Sealer) *front {
	t.Helper()
	f := &front{t: t, names: cachekeys.NewNames(redisd.Prefix(t)), secret: []byte("secret"),
		budget: 2 * time.Second}
	table, _, err := policy.Load([]byte(policies),
		policy.Options{Secret: func() []byte { return f.secret }})
	if err != nil {
		t.Fatal(err)
	}
	conn := r.Connect(t, f.names, func(op string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ops = append(f.ops, op)
	})
	o := jobs.Options{Redis: conn, Names: f.names, Prefix: redisd.Prefix(t), Sealer: sealer,
		Plan: table.Plan, Invalidator: nothing{},
		Queues: map[string]int{"default": 1}, Log: slog.New(slog.DiscardHandler)}
	if handler != nil {
		api := httptest.NewServer(handler)
		t.Cleanup(api.Close)
		b, err := backend.New(backend.Options{
			URL: api.URL, Timeout: 10 * time.Second, Dial: time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		o.Backend, o.Concurrency, o.Unsent = b, 2, backend.IsUnsent
	}
	queue, err := jobs.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { queue.Run(ctx) })
	running.Go(func() { _ = queue.RunWorkers(ctx) })
	t.Cleanup(func() { cancel(); running.Wait() })
	f.Hook = New(Options{Jobs: queue, Bodies: peek.NewRoom(1<<20, 20*time.Second),
		Log: slog.New(slog.DiscardHandler), AuthFailed: func() { f.failures++ },
		CORS: func(route, origin string) *policy.CORS {
			return table.JobCORS(route, origin)
		},
		CacheStatus: func(why reason.Reason) string { return "sidecar; detail=" + string(why) }})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, _, _ := strings.Cut(r.RequestURI, "?")
		plan := table.Plan(httpfield.Request{Method: r.Method, Path: path, Authority: r.Host,
			Fields:  httpfield.Header(r.Header),
			HasBody: r.ContentLength != 0}, time.Now())
		if f.Serves(path) {
			f.ServeJob(w, r, plan.Caller)
			return
		}
		if r.Method == http.MethodOptions {
			asked := table.Plan(httpfield.Request{
				Method: "POST", Path: path, Authority: r.Host, Fields: httpfield.Header(r.Header),
			}, time.Now())
			if f.Preflight(w, r, asked) {
				return
			}
		}
		accepted := false
		if accepted, f.why = f.Accept(w, r, plan, conn.Budget(f.budget)); !accepted {
			body, _ := io.ReadAll(r.Body)
			f.passed, f.fields = string(body), r.Header
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// nothing is an Invalidator.
type nothing struct{}

func (nothing) Changed(context.Context, []cachekeys.Tag) error { return nil }
