// Command gameapi is the HTTP API of a role-playing game: characters with inventory and notes,
// campaigns and sessions that several players share, dice over a WebSocket, a feed of events, a
// rules compendium and maps. It keeps everything in one SQLite file. README.md lists its routes and
// variables.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// drainTime bounds the time for requests under way after SIGTERM.
const drainTime = 10 * time.Second

func main() {
	cfg, err := configFrom(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "gameapi:", err)
		os.Exit(2)
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := run(ctx, cfg, os.Stdout, slog.Default()); err != nil {
		fmt.Fprintln(os.Stderr, "gameapi:", err)
		os.Exit(1)
	}
}

// run serves the API until ctx ends, and writes its address to out.
func run(ctx context.Context, cfg config, out io.Writer, log *slog.Logger) (err error) {
	db, err := openStore(cfg.db)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.seed(ctx, cfg.passwordCost); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", cfg.addr)
	if err != nil {
		return err
	}
	api := newAPI(cfg, db, log)
	server := newServer(cfg, api)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Fprintf(out, "listening on http://%s\n", listener.Addr())

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	return shutdown(server, api)
}

func newServer(cfg config, api *API) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(cfg.h2c)
	return &http.Server{
		Handler: api.Handler(), ReadHeaderTimeout: 10 * time.Second, Protocols: protocols,
	}
}

// shutdown lets requests under way end. Feeds, sockets and generators are told to end first.
func shutdown(server *http.Server, api *API) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	api.Close()
	if err := server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("some requests did not end within %s: %w", drainTime, err),
			server.Close())
	}
	api.sockets.Wait()
	return nil
}
