package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestConfig(t *testing.T) {
	for _, test := range []struct {
		rule string
		env  map[string]string
		want string // a part of the error; "" for none
	}{
		{"a secret is all it needs", map[string]string{}, ""},
		{"a short secret is refused", map[string]string{"JWT_SECRET": "short"},
			"JWT_SECRET must have 16 bytes"},
		{"a duration has a unit", map[string]string{"NPC_DELAY": "5"},
			`NPC_DELAY="5" is no duration`},
		{"a duration is not negative", map[string]string{"GAME_DELAY_MIN": "-1s"},
			`GAME_DELAY_MIN="-1s"`},
		{"the shortest delay is not over the longest",
			map[string]string{"GAME_DELAY_MIN": "2s", "GAME_DELAY_MAX": "1s"}, "is longer than"},
		{"a limit is positive", map[string]string{"RATE_LIMIT": "0"}, `RATE_LIMIT="0"`},
		{"a switch is true or false", map[string]string{"GAME_H2C": "maybe"}, `GAME_H2C="maybe"`},
		{"all faults are told", map[string]string{"RATE_LIMIT": "x", "NPC_DELAY": "y"},
			"RATE_LIMIT"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			env := map[string]string{"JWT_SECRET": "a secret of the tests"}
			for name, value := range test.env {
				env[name] = value
			}
			c, err := configFrom(func(name string) string { return env[name] })
			switch {
			case test.want == "" &&
				(err != nil || c.addr != "127.0.0.1:3000" || c.rateLimit != 6000):
				t.Errorf("%+v, %v", c, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}

// TestARunFromStartToEnd starts the API as main does, twice on one file, and ends it while a feed
// is open.
func TestARunFromStartToEnd(t *testing.T) {
	cfg := config{
		addr: "127.0.0.1:0", db: filepath.Join(t.TempDir(), "a game.db"),
		jwtSecret:  []byte("a secret of the tests"),
		accessLife: 15 * 60e9, rateLimit: 1000, origin: "https://game.example",
		h2c: true, passwordCost: 4,
	}
	for _, round := range []string{"1", "2"} {
		ctx, stop := context.WithCancel(t.Context())
		out, told := io.Pipe()
		done := make(chan error, 1)
		go func() { done <- run(ctx, cfg, told, slog.New(slog.DiscardHandler)) }()
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
		if !ok {
			t.Fatalf("said %q", line)
		}
		g := &game{t: t, url: url, logins: map[string]tokenPair{}}
		var list []character
		g.do("thorin", "GET", "/api/v1/characters", "").want(200).data(&list)
		if want := map[string]int{"1": 2, "2": 3}[round]; len(list) != want {
			t.Errorf("start %s: %d characters, want %d", round, len(list), want)
		}
		g.do("thorin", "POST", "/api/v1/characters", `{"name":"Zed","class":"monk"}`).want(201)
		speaksHTTP2(t, url)
		feed := g.listen(t.Context(), "thorin", "s1")
		conn := g.mustSit("thorin", "s1")
		stop()
		if _, ok := feed.next(); ok {
			t.Error("the feed went on")
		}
		if _, err := read(t, conn); err == nil {
			t.Error("the socket went on")
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// speaksHTTP2 checks HTTP/2 without TLS, as a client does that knows of it.
func speaksHTTP2(t *testing.T, url string) {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Get(url + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
		t.Errorf("%s %d", resp.Proto, resp.StatusCode)
	}
}

func TestAnAddressInUseIsAnError(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cfg := config{
		addr: taken.Addr().String(), db: filepath.Join(t.TempDir(), "game.db"), passwordCost: 4,
	}
	if err := run(t.Context(), cfg, io.Discard,
		slog.New(slog.DiscardHandler)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("%v", err)
	}
}
