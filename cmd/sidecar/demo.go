package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"sidecar/internal/config"
	"sidecar/internal/demo"
	"sidecar/internal/telemetry"
)

// demoCommand starts a small game API, an embedded Redis and the sidecar in front of it, and prints
// requests to try.
func demoCommand(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo [--listen ADDR] [--ops ADDR]",
		Short: "starts a small game API, an embedded Redis and the sidecar, and says what to try",
		Args:  noArguments, DisableFlagsInUseLine: true,
	}
	listenAddr := cmd.Flags().String("listen", "127.0.0.1:8080", "`ADDR` of the data plane")
	opsAddr := cmd.Flags().String("ops", "127.0.0.1:9090",
		"`ADDR` of health, metrics and administration")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := runDemo(cmd.Context(), c, *listenAddr, *opsAddr); err != nil {
			return failed(err)
		}
		return nil
	}
	return cmd
}

func runDemo(ctx context.Context, c console, listenAddr, opsAddr string) error {
	dir, err := os.MkdirTemp("", "sidecar-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	policies := filepath.Join(dir, "policies.yaml")
	if err := os.WriteFile(policies, demo.Policies, 0o600); err != nil {
		return err
	}
	api, err := serveLoopback(demo.NewAPI().Handler())
	if err != nil {
		return err
	}
	defer api.server.Close()

	// The environment is that of somebody's shell, and none of the demo's business.
	cfg, err := config.Load(nil, map[string]string{
		"BACKEND_URL": "http://" + api.listener.Addr().String(), "LISTEN_ADDR": listenAddr,
		"OPS_ADDR":      opsAddr,
		"POLICIES_FILE": policies, "REDIS_EMBEDDED": "true", "CACHE_STATUS": "full",
		"LOG_LEVEL":     "error",
		"REDIS_TIMEOUT": "2s", // the tour holds on a busy machine too
		// it opens while somebody looks
		"BREAKER_INTERVAL": "2s", "BREAKER_MIN_REQUESTS": "2", "BREAKER_TIMEOUT": "2s",
		"SHUTDOWN_TIMEOUT": "3s",
		"KEY_SECRET":       "a secret that is good enough for a demo",
	})
	if err != nil {
		return err
	}
	log, err := telemetry.NewLogger(c.stderr, cfg.LogLevel.Level, "text")
	if err != nil {
		return err
	}
	quietLibraries(log)
	s, err := assemble(cfg, environment(nil), log)
	if err != nil {
		return err
	}
	control, err := serveLoopback(demo.Control(s.embedded[0]))
	if err != nil {
		s.close()
		return err
	}
	defer control.server.Close()
	if err := demo.Tour(c.stdout, demo.Addresses{
		Sidecar: s.data.listener.Addr().String(), Ops: s.ops.listener.Addr().String(),
		API: api.listener.Addr().String(), Control: control.listener.Addr().String(),
	}); err != nil {
		s.close()
		return err
	}
	return s.run(ctx)
}

// serveLoopback serves h on a free port of the loopback address, until its server is closed.
func serveLoopback(h http.Handler) (serving, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return serving{}, err
	}
	s := serving{
		name: "demo", listener: l,
		server: &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second},
	}
	go func() { // ends when the server is closed
		if err := s.serve(); err != nil && !errors.Is(err, net.ErrClosed) {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return s, nil
}
