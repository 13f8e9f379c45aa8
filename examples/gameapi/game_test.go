package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// A game is an API on a database of its own, served on a real socket.
type game struct {
	t    *testing.T
	api  *API
	url  string
	logs *logLines

	mu     sync.Mutex
	logins map[string]tokenPair
}

type tokenPair struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// newGame starts a game; change alters its configuration.
func newGame(t *testing.T, change ...func(*config)) *game {
	t.Helper()
	cfg := config{
		db: filepath.Join(t.TempDir(), "game.db"), jwtSecret: []byte("a secret of the tests"),
		accessLife: 15 * time.Minute,
		rateLimit:  1_000_000, cleanupToken: "broom",
		origin: "https://game.example", passwordCost: 4,
	}
	for _, c := range change {
		c(&cfg)
	}
	db, err := openStore(cfg.db)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.seed(t.Context(), cfg.passwordCost); err != nil {
		t.Fatal(err)
	}
	logs := &logLines{}
	g := &game{t: t, api: newAPI(cfg, db, slog.New(slog.NewJSONHandler(logs, nil))), logs: logs,
		logins: map[string]tokenPair{}}
	server := httptest.NewServer(g.api.Handler())
	t.Cleanup(server.Close)
	t.Cleanup(g.api.Close)
	g.url = server.URL
	return g
}

// login returns a user's tokens; the first call gets them.
func (g *game) login(name string) tokenPair {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	if pair, ok := g.logins[name]; ok {
		return pair
	}
	a := g.do("", "POST", "/api/v1/auth/login",
		`{"username":"`+name+`","password":"`+name+`-password"}`).want(200)
	var pair tokenPair
	a.data(&pair)
	g.logins[name] = pair
	return pair
}

// do sends one request of a user, "" for nobody. Fields are written "Name: value".
func (g *game) do(user, method, path, body string, fields ...string) *got {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if user != "" {
		r.Header.Set("Authorization", "Bearer "+g.login(user).Access)
	}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return &got{g.t, resp, content}
}

// got is an answer, read to its end.
type got struct {
	t *testing.T
	*http.Response
	content []byte
}

func (a *got) want(status int) *got {
	a.t.Helper()
	if a.StatusCode != status {
		a.t.Fatalf("%s %s: status %d, want %d: %s",
			a.Request.Method, a.Request.URL, a.StatusCode, status, a.content)
	}
	return a
}

// data reads the envelope's data into v.
func (a *got) data(v any) {
	a.t.Helper()
	e := envelope{Data: v}
	if err := json.Unmarshal(a.content, &e); err != nil || !e.Success {
		a.t.Fatalf("no envelope of success (%v): %s", err, a.content)
	}
}

func (a *got) failure() failure {
	a.t.Helper()
	var e envelope
	if err := json.Unmarshal(a.content, &e); err != nil || e.Success || e.Error == nil {
		a.t.Fatalf("no envelope of failure (%v): %s", err, a.content)
	}
	return *e.Error
}

// cookie is the value of a cookie that the answer sets; "" if it sets none.
func (a *got) cookie(name string) string {
	for _, c := range a.Cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// logLines gathers the log.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

// has reports whether a line holds all the parts.
func (l *logLines) has(parts ...string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
lines:
	for line := range strings.Lines(l.text.String()) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue lines
			}
		}
		return true
	}
	return false
}

// patience is how long a test waits for an event that must come.
const patience = 10 * time.Second

// eventually waits until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}
