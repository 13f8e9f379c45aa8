package main

import (
	"bytes"
	"errors"
	"log"
	"log/slog"
	"strings"
	"testing"
)

func TestLibrariesReportWithoutContent(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{`Unsolicited response received on idle HTTP channel starting with "HTTP/1.1 200 OK\r\nSet-Cookie: geheim"; err=<nil>`, "Unsolicited response received on idle HTTP channel starting"},
		{"http: TLS handshake error from 10.0.0.1:1234: EOF", "TLS handshake error from"},
		{"geheim=1", ""},
		{"", ""},
	} {
		var out bytes.Buffer
		errorLog(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))).
			Print(tt.line)
		if got := out.String(); strings.Contains(got, "geheim") ||
			strings.Contains(got, "10.0.0.1") || !strings.Contains(got, tt.want) ||
			!strings.HasPrefix(got, "{") {
			t.Errorf("%q: %s", tt.line, got)
		}
	}
}

func TestGlobalLoggersAreOurs(t *testing.T) {
	writer, flags := log.Writer(), log.Flags()
	defer func() {
		log.SetOutput(writer)
		log.SetFlags(flags)
	}()
	var out bytes.Buffer
	to := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	quietLibraries(to)
	log.Printf("http: something with %q", "geheim")
	redisLog{to}.Printf(t.Context(), "redis: cannot reach %v", errors.New("geheim"))
	got := out.String()
	if strings.Contains(got, "geheim") || strings.Count(got, "\n") != 2 ||
		!strings.Contains(got, `"about":"http: something with"`) ||
		!strings.Contains(got, `"about":"redis: cannot reach"`) {
		t.Error(got)
	}
}

func TestAPanicIsReportedWithItsStack(t *testing.T) {
	var out bytes.Buffer
	errorLog(slog.New(slog.NewJSONHandler(&out, nil))).
		Print("http: panic serving 10.0.0.1:1: geheim\ngoroutine 7 [running]:\nmain.f(0x1)")
	if got := out.String(); strings.Contains(got, "geheim") || !strings.Contains(got, "main.f") ||
		!strings.Contains(got, `"level":"ERROR"`) {
		t.Error(got)
	}
}
