package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sidecar/internal/reason"
)

func TestLogFormat(t *testing.T) {
	terminal, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // a character device, as a terminal is
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, tt := range []struct {
		rule   string
		to     interface{ Write([]byte) (int, error) }
		format string
		json   bool
	}{
		{"JSON unless told otherwise", &bytes.Buffer{}, "", true},
		{"JSON to a file", file, "", true},
		{"text on a terminal", terminal, "", false},
		{"JSON where asked for", terminal, "json", true},
		{"text where asked for", file, "text", false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			log, err := NewLogger(tt.to, slog.LevelInfo, tt.format)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := log.Handler().(*slog.JSONHandler); ok != tt.json {
				t.Errorf("got %T", log.Handler())
			}
		})
	}
	if _, err := NewLogger(file, slog.LevelInfo, "xml"); err == nil || !strings.Contains(err.Error(), "xml") {
		t.Errorf("an unknown format: %v", err)
	}
}

func TestLogLevel(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, slog.LevelWarn, "json")
	if err != nil {
		t.Fatal(err)
	}
	log.Info("quiet")
	log.Warn("loud")
	if got := out.String(); strings.Contains(got, "quiet") || !strings.Contains(got, "loud") {
		t.Errorf("got %s", got)
	}
}

// written logs one request and returns its line, parsed; nil if there is none.
func written(t *testing.T, level slog.Level, o Outcome, path string) map[string]any {
	t.Helper()
	var out bytes.Buffer
	log, err := NewLogger(&out, level, "json")
	if err != nil {
		t.Fatal(err)
	}
	o.Start = time.Unix(1000, 0)
	NewAccessLog(log, "/_jobs/").Write(context.Background(), &o, path, o.Start.Add(1500*time.Microsecond))
	if out.Len() == 0 {
		return nil
	}
	line := map[string]any{}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	delete(line, "time")
	return line
}

func TestAccessLine(t *testing.T) {
	got := written(t, slog.LevelDebug, Outcome{
		Method: "GET", Route: "character", Result: ResultMiss, Reason: reason.Miss, NotStored: reason.SetCookie, Detail: reason.RedisTimeout,
		Stored: true, Collapsed: true, Status: 200, BytesIn: 1, BytesOut: 2, Redis: 250 * time.Microsecond, Err: errors.New("broken"),
	}, "/api/v1/characters/1")
	want := map[string]any{
		"level": "WARN", "msg": "request", "method": "GET", "path": "/api/v1/characters/1", "route": "character", "status": 200.0, "result": "miss",
		"reason": "uri-miss", "not_stored": "set-cookie", "detail": "redis-timeout", "stored": true, "collapsed": true,
		"duration_ms": 1.5, "redis_ms": 0.25, "bytes_in": 1.0, "bytes_out": 2.0, "error": "broken",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	got = written(t, slog.LevelDebug, Outcome{}, "/")
	want = map[string]any{
		"level": "DEBUG", "msg": "request", "method": "other", "path": "/", "route": "none", "status": 0.0, "result": "refused",
		"duration_ms": 1.5, "redis_ms": 0.0, "bytes_in": 0.0, "bytes_out": 0.0,
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestWhichRequestsAreLogged(t *testing.T) {
	left := fmt.Errorf("round trip: %w", context.Canceled)
	for _, tt := range []struct {
		rule  string
		level slog.Level
		err   error
		want  any
	}{
		{"all at debug", slog.LevelDebug, nil, "DEBUG"},
		{"none at info", slog.LevelInfo, nil, nil},
		{"failures at any level up to warn", slog.LevelWarn, errors.New("refused"), "WARN"},
		{"but not at error", slog.LevelError, errors.New("refused"), nil},
		{"a client that leaves is no failure", slog.LevelInfo, left, nil},
		{"but can be seen", slog.LevelDebug, left, "DEBUG"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := written(t, tt.level, Outcome{Err: tt.err}, "/")["level"]; got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
}

func TestNoSecretReachesTheLog(t *testing.T) {
	for path, want := range map[string]string{
		"/a?token=secret":              "/a",
		"/a#secret":                    "/a",
		"/_jobs/secret":                "/_jobs/…",
		"/_jobs/secret/result?secret":  "/_jobs/…",
		"/_jobs":                       "/_jobs",
		"/_jobsites":                   "/_jobsites",
		"/" + strings.Repeat("x", 600): "/" + strings.Repeat("x", maxPath-1) + "…",
	} {
		if got := written(t, slog.LevelDebug, Outcome{}, path)["path"]; got != want {
			t.Errorf("%s was logged as %v; want %s", path, got, want)
		}
	}
	failed := &url.Error{Op: "Get", URL: "http://user:secret@host/?token=secret", Err: errors.New("refused")}
	got := written(t, slog.LevelDebug, Outcome{Err: fmt.Errorf("backend: %w", failed)}, "/")
	if got["error"] != "refused" {
		t.Errorf("got %v", got)
	}
}

func TestNoLineCostsNothing(t *testing.T) {
	log, err := NewLogger(&bytes.Buffer{}, slog.LevelInfo, "json")
	if err != nil {
		t.Fatal(err)
	}
	access, o := NewAccessLog(log, "/_jobs"), &Outcome{Method: http.MethodGet}
	if n := testing.AllocsPerRun(100, func() { access.Write(context.Background(), o, "/a?b", o.Start) }); n != 0 {
		t.Errorf("%v allocations for a line that is not written", n)
	}
}
