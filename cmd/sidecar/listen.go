package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"syscall"
	"time"

	"sidecar/wire"
)

// listen opens a TCP listener; variable is the name of the variable with the address.
func listen(addr, variable string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf(
			"%s: %s is in use by another process: stop it, or set %s to a free address",
			variable, addr, variable)
	}
	if missing, ok := errors.AsType[*net.AddrError](err); ok &&
		missing.Err == "missing port in address" {
		return nil, fmt.Errorf("%s: %q is no address with a port, like :8080 or 127.0.0.1:8080",
			variable, addr)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return l, nil
}

// serving is one HTTP server with its listener.
type serving struct {
	name     string
	server   *http.Server
	listener net.Listener
}

// serve serves until stop is called on the server; a clean stop is no error.
func (s serving) serve() error {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s server: %w", s.name, err)
	}
	return nil
}

// stop takes no new requests and waits for those in flight until ctx is done; the rest is cut off
// then.
func (s serving) stop(ctx context.Context, log *slog.Logger) {
	l, ok := s.listener.(*wire.Listener)
	if ok {
		_ = l.Settle(ctx)
	}
	err := s.server.Shutdown(ctx)
	if err != nil {
		_ = s.server.Close()
	}
	if ok {
		err = cmp.Or(err, l.Await(ctx))
	}
	if err != nil {
		log.Warn("requests were still in flight at the end", "server", s.name, "error", err)
	}
}

// dataServer is the server of the data plane, for a listener of package wire. HTTP/2 without TLS
// is spoken to clients that begin with it (RFC 9113 §3.3).
func dataServer(h http.Handler, base context.Context, limits dataLimits,
	log *slog.Logger) *http.Server {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:                      wire.Handler(h, log),
		Protocols:                    &protocols,
		ReadHeaderTimeout:            limits.readHeader,
		IdleTimeout:                  limits.idle,
		MaxHeaderBytes:               limits.headerBytes,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the backend's to answer
		BaseContext:                  func(net.Listener) context.Context { return base },
		ConnContext:                  wire.ConnContext,
		ConnState:                    wire.ConnState,
		ErrorLog:                     errorLog(log),
	}
}

// dataLimits are the bounds towards clients.
type dataLimits struct {
	readHeader, idle time.Duration
	headerBytes      int
}

// opsServer is the server of the ops address.
func opsServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          errorLog(log),
	}
}
