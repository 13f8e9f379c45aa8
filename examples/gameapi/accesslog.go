package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"time"
)

// accessLog writes a line for each answered request. It delays the head of each response by a
// random time if the configuration wants a slow API.
func (a *API) accessLog(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		rec := &recorder{ResponseWriter: w, hold: func() { a.delay(r.Context()) }}
		defer func() {
			a.log.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelInfo, "request",
				slog.String("method", r.Method),
				slog.String("path", r.URL.EscapedPath()),
				slog.String("query", r.URL.RawQuery),
				slog.Int("status", rec.status),
				slog.String("request_id", w.Header().Get("X-Request-Id")),
				slog.String("remote", r.RemoteAddr),
				slog.Any("x_forwarded_for", r.Header.Values("X-Forwarded-For")),
				slog.String("idempotency_key", r.Header.Get("Idempotency-Key")),
				slog.Duration("took", time.Since(began)))
		}()
		next.ServeHTTP(rec, r)
	})
}

// delay waits after the handler has read its data, so that the client sees data as old as the wait.
func (a *API) delay(ctx context.Context) {
	wait := a.delayMin
	if spread := a.delayMax - a.delayMin; spread > 0 {
		wait += mathrand.N(spread)
	}
	if wait == 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// A recorder records the final status of a response; 0 if there was none, as after a panic.
type recorder struct {
	http.ResponseWriter
	status int
	hold   func()
}

func (rec *recorder) WriteHeader(status int) {
	if rec.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		rec.status = status
		rec.hold()
	}
	rec.ResponseWriter.WriteHeader(status)
}

func (rec *recorder) Write(b []byte) (int, error) {
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	return rec.ResponseWriter.Write(b)
}

// Unwrap serves http.ResponseController.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }

// requestID gives each request an id: the client's own one if it is well-formed.
func requestID(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("X-Request-Id")
		if len(id) < 1 || len(id) > 64 || !isToken(id) {
			id = rand.Text()
		}
		w.Header().Set("X-Request-Id", id)
		next.ServeHTTP(w, r)
	})
}

func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' ||
			c == '_' || c == '.') {
			return false
		}
	}
	return true
}
