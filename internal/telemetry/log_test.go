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
	if _, err := NewLogger(file, slog.LevelInfo, "xml"); err == nil ||
		!strings.Contains(err.Error(), "xml") {
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
	return logged(t, level, AccessMode{}, o, Client{Path: path})
}

// logged is written by a mode for a client.
func logged(t *testing.T, level slog.Level, mode AccessMode, o Outcome, c Client) map[string]any {
	t.Helper()
	var out bytes.Buffer
	log, err := NewLogger(&out, level, "json")
	if err != nil {
		t.Fatal(err)
	}
	o.Start = time.Unix(1000, 0)
	access, end := NewAccessLog(log, mode, "/_jobs/"), o.Start.Add(1500*time.Microsecond)
	at, ok := access.Level(context.Background(), &o, end)
	if !ok {
		return nil
	}
	access.Write(context.Background(), at, &o, c, end)
	line := map[string]any{}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	delete(line, "time")
	return line
}

func TestAccessLine(t *testing.T) {
	got := written(t, slog.LevelDebug, Outcome{
		Method: "GET", Route: "character", Result: ResultMiss, Reason: reason.Miss,
		NotStored: reason.SetCookie, Detail: reason.RedisTimeout,
		Stored: true, Collapsed: true, Status: 200, BytesIn: 1, BytesOut: 2,
		Redis: 250 * time.Microsecond, Err: errors.New("broken"),
	}, "/api/v1/characters/1")
	want := map[string]any{
		"level": "WARN", "msg": "request", "method": "GET", "path": "/api/v1/characters/1",
		"route": "character", "status": 200.0, "result": "miss",
		"reason": "uri-miss", "not_stored": "set-cookie", "detail": "redis-timeout", "stored": true,
		"collapsed":   true,
		"duration_ms": 1.5, "redis_ms": 0.25, "bytes_in": 1.0, "bytes_out": 2.0, "error": "broken",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	got = written(t, slog.LevelDebug, Outcome{}, "/")
	want = map[string]any{
		"level": "INFO", "msg": "request", "method": "other", "path": "/", "route": "none",
		"status": 0.0, "result": "refused",
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
			if got := written(t, tt.level, Outcome{Err: tt.err, Result: ResultMiss},
				"/")["level"]; got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
}

func TestTheModesOfTheAccessLog(t *testing.T) {
	off, errorsOnly, all := AccessMode{Off: true}, AccessMode{}, AccessMode{Share: 1}
	for _, tt := range []struct {
		rule string
		mode AccessMode
		out  Outcome
		want any // the level at LOG_LEVEL info
	}{
		{"off has no line", off, Outcome{Result: ResultMiss, Status: 500}, nil},
		{"off has none of a failure", off,
			Outcome{Result: ResultMiss, Err: errors.New("refused")}, nil},
		{"a success is no error", errorsOnly, Outcome{Result: ResultHit, Status: 200}, nil},
		{"nor is a 4xx of the API", errorsOnly, Outcome{Result: ResultBypass, Status: 404}, nil},
		{"a 5xx is", errorsOnly, Outcome{Result: ResultMiss, Status: 500}, "INFO"},
		{"a refusal is", errorsOnly, Outcome{Result: ResultRefused, Status: 400}, "INFO"},
		{"so is one without a result", errorsOnly, Outcome{Status: 508}, "INFO"},
		{"a denied route is", errorsOnly, Outcome{Result: ResultDeny, Status: 404}, "INFO"},
		{"a failure of the backend warns", errorsOnly,
			Outcome{Result: ResultMiss, Status: 502, Err: errors.New("refused")}, "WARN"},
		{"all has all", all, Outcome{Result: ResultHit, Status: 200}, "INFO"},
		{"and warns as well", all, Outcome{Result: ResultMiss, Err: errors.New("refused")}, "WARN"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := logged(t, slog.LevelInfo, tt.mode, tt.out,
				Client{Path: "/"})["level"]; got != tt.want {
				t.Errorf("got %v; want %v", got, tt.want)
			}
		})
	}
	access, start := NewAccessLog(slog.New(slog.DiscardHandler), errorsOnly, ""), time.Unix(1000, 0)
	o := Outcome{Start: start, Result: ResultHit, Status: 200}
	if level, _ := access.Level(t.Context(), &o, start.Add(time.Second)); level != slog.LevelDebug {
		t.Errorf("a second is too long: %v", level)
	}
	if level, _ := access.Level(t.Context(), &o,
		start.Add(time.Second+1)); level != slog.LevelInfo {
		t.Errorf("more than a second is not: %v", level)
	}
}

func TestAShareOfTheRequestsIsLogged(t *testing.T) {
	access := NewAccessLog(slog.New(slog.DiscardHandler), AccessMode{Share: 0.25}, "")
	o, n := Outcome{Start: time.Unix(1000, 0), Result: ResultHit, Status: 200}, 0
	for range 4000 {
		if level, _ := access.Level(t.Context(), &o, o.Start); level == slog.LevelInfo {
			n++
		}
	}
	if n < 800 || n > 1200 { // 7 standard deviations
		t.Errorf("%d of 4000", n)
	}
}

func TestTheAccessLogSaysWhoAsked(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	got := logged(t, slog.LevelInfo, AccessMode{Share: 1},
		Outcome{Result: ResultBypass, Reason: reason.TemplateUnfilled, Unfilled: "c:{query.a}"},
		Client{Address: "192.0.2.1", Host: strings.Repeat("h", 200), Path: "/a", RequestID: "r-1",
			Trace: "00-" + trace + "-00f067aa0ba902b7-01"})
	for name, want := range map[string]any{
		"client": "192.0.2.1", "host": strings.Repeat("h", maxText) + "…", "request_id": "r-1",
		"trace_id": trace,
		"reason":   "template-unfilled", "template": "c:{query.a}",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for _, odd := range []string{
		"", "a", "00-" + trace, "00-" + strings.Repeat("0", 32) + "-1-01",
		"00-" + strings.ToUpper(trace) + "-1-01",
	} {
		if line := logged(t, slog.LevelInfo, AccessMode{Share: 1}, Outcome{Result: ResultHit},
			Client{Trace: odd}); line["trace_id"] != nil || line["client"] != nil {
			t.Errorf("%q: %v", odd, line)
		}
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
	failed := &url.Error{
		Op: "Get", URL: "http://user:secret@host/?token=secret", Err: errors.New("refused"),
	}
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
	access, o := NewAccessLog(log, AccessMode{}, "/_jobs"),
		&Outcome{Method: http.MethodGet, Result: ResultHit}
	if n := testing.AllocsPerRun(100,
		func() { access.Level(context.Background(), o, o.Start) }); n != 0 {
		t.Errorf("%v allocations for a line that is not written", n)
	}
}
