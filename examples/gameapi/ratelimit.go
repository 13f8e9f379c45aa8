package main

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxClients bounds the clients that the limiter tells apart. Those beyond share one allowance.
const maxClients = 10_000

// A limiter counts requests of each client in windows of a minute. It is safe for concurrent use.
type limiter struct {
	perMinute int
	now       func() time.Time

	mu      sync.Mutex
	windows map[string]window
}

type window struct {
	ends time.Time
	used int
}

// allowance is the rest of a client's budget.
type allowance struct {
	ok        bool
	remaining int
	reset     time.Duration // until the window ends
}

// take counts one request of client.
func (l *limiter) take(client string) allowance {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if _, known := l.windows[client]; !known && len(l.windows) >= maxClients {
		l.forget(now)
		if len(l.windows) >= maxClients {
			client = ""
		}
	}
	if l.windows == nil {
		l.windows = map[string]window{}
	}
	win := l.windows[client]
	if !now.Before(win.ends) {
		win = window{ends: now.Add(time.Minute)}
	}
	win.used++
	l.windows[client] = win
	return allowance{win.used <= l.perMinute, max(0, l.perMinute-win.used), win.ends.Sub(now)}
}

// forget drops the windows that have ended.
func (l *limiter) forget(now time.Time) {
	for client, win := range l.windows {
		if !now.Before(win.ends) {
			delete(l.windows, client)
		}
	}
}

// rateLimited refuses a client that asks too often, and tells each its allowance.
func (a *API) rateLimited(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		left := a.limit.take(clientIP(r))
		reset := strconv.Itoa(int((left.reset + time.Second - 1) / time.Second))
		h := w.Header()
		h.Set("X-RateLimit-Limit", strconv.Itoa(a.limit.perMinute))
		h.Set("X-RateLimit-Remaining", strconv.Itoa(left.remaining))
		h.Set("X-RateLimit-Reset", reset)
		if !left.ok {
			h.Set("Retry-After", reset)
			fail(w, r, &failure{http.StatusTooManyRequests, "rate_limited", "too many requests"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// clientIP is the client's address: the last one in X-Forwarded-For if the connection comes from
// this machine or a private network, where proxies are; else the connection's own.
func clientIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	peer, err := netip.ParseAddr(host)
	if err != nil || !peer.IsLoopback() && !peer.IsPrivate() {
		return host
	}
	forwarded := strings.Join(r.Header.Values("X-Forwarded-For"), ",")
	last := strings.TrimSpace(forwarded[strings.LastIndexByte(forwarded, ',')+1:])
	if client, err := netip.ParseAddr(last); err == nil {
		return client.String()
	}
	return host
}
