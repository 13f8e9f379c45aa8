package ops

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/invalidation"
	"sidecar/policy"
	"sidecar/test/redisd"
)

var shared *redisd.Server

func TestMain(m *testing.M) { os.Exit(redisd.Main(m, &shared)) }

const token = "the admin token of the tests"

// An address is the ops address with the parts behind it.
type address struct {
	t        *testing.T
	url      string
	redis    *redisd.Server
	names    cachekeys.Names
	failures int // of authorization
}

// serve serves the handler on r. change replaces parts of its options.
func serve(t *testing.T, r *redisd.Server, change func(*Options)) *address {
	t.Helper()
	a := &address{t: t, redis: r.For(t), names: cachekeys.NewNames(t.Name())}
	table, _, err := policy.Load([]byte(`{version: 1, routes: [{match: "GET /items/{id}",
  cache: {scope: shared, ttl: 1h, tags: ["item:{id}"]}}, {match: "PUT /items/{id}", invalidate: ["item:{id}"]}]}`),
		policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	conn := r.Connect(t, a.names, nil)
	o := Options{
		Ready: func(context.Context) error { return nil },
		Redis: func() error { return nil },
		Purger: &invalidation.Invalidator{
			Keyspace: coherence.New(coherence.Options{Conn: conn, Names: a.names, Log: log}),
			Table:    func() *policy.Table { return table },
		},
		Explain: func(_ context.Context, r *http.Request, body []byte) (any, bool) {
			return r.Method + " " + r.RequestURI + " " + string(body), r.URL.Path != "/refused"
		},
		Policies:   func() any { return table.Routes() },
		Reload:     func() error { return nil },
		Leave:      func() {},
		AdminToken: func() (string, error) { return token, nil },
		Metrics:    http.NotFoundHandler(),
		AuthFailed: func() { a.failures++ },
		Log:        log,
	}
	if change != nil {
		change(&o)
	}
	server := httptest.NewServer(Handler(o))
	t.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// ask sends a request as the administrator, or with the Authorization that is given instead.
func (a *address) ask(method, path, body string,
	authorization ...string) (status int, h http.Header, content string) {
	a.t.Helper()
	r, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	if r.Header["Authorization"] = authorization; len(authorization) == 0 {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(got)
}

// decode reads a JSON answer.
func decode[T any](t *testing.T, content string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(content), &v); err != nil {
		t.Fatalf("%v: %s", err, content)
	}
	return v
}
