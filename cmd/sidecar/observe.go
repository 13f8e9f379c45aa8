package main

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"

	"sidecar/internal/config"
	"sidecar/internal/observe"
	"sidecar/internal/telemetry"
)

// observeCommand runs in front of the API, caches nothing, and proposes policies by the traffic.
func observeCommand(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "observe [--for 10m] [-o FILE] [--force] [flags]",
		Short: "watches the traffic, caching nothing, and writes a first policies file",
		Long: "It listens and forwards as the sidecar does, without policies and Redis. After " +
			"the time of" +
			" --for, or with\nSIGINT or SIGTERM, it ends and writes what it proposes, with the " +
			"evidence beside" +
			" it. Answers are compared by\ndigest and not kept; no value of a path, a query or a " +
			"field is written.",
		Args: noArguments, DisableFlagsInUseLine: true,
	}
	to := outputFlags(c, cmd.Flags())
	duration := cmd.Flags().Duration("for", 0, "`TIME` to watch, like 10m; 0: until SIGINT")
	overrides := overridesOf(cmd.Flags())
	for _, name := range []string{"policies", "embedded"} {
		_ = cmd.Flags().MarkHidden(name) // there are none
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *duration < 0 {
			return misused("--for is a time like 10m")
		}
		if err := to.check(); err != nil {
			return err
		}
		recorder, err := observe.New([]byte(rand.Text()), observe.DefaultBounds)
		if err != nil {
			return failed(err)
		}
		if err := watch(cmd.Context(), c, overrides, recorder, *duration); err != nil {
			return err
		}
		return to.write(c, recorder.Propose())
	}
	return cmd
}

// watch runs a sidecar without policies, whose requests recorder observes, for a time, or without
// end if it is 0, and until ctx is done.
func watch(
	ctx context.Context,
	c console,
	overrides map[string]string,
	recorder *observe.Recorder,
	duration time.Duration,
) error {
	dir, err := os.MkdirTemp("", "sidecar-observe-")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(dir)
	policies := filepath.Join(dir, "policies.yaml")
	if err := os.WriteFile(policies, []byte("version: 1\nroutes: []\n"), 0o600); err != nil {
		return failed(err)
	}
	overrides["POLICIES_FILE"], overrides["REDIS_EMBEDDED"] = policies, "true"
	overrides["JOBS_CONCURRENCY"], overrides["KEY_SECRET"] = "0", rand.Text()
	cfg, err := config.Load(withoutStores(c.env), overrides)
	if err != nil {
		return failure{exitUsage, err}
	}
	log, err := telemetry.NewLogger(c.stderr, cfg.LogLevel.Level, cfg.LogFormat)
	if err != nil {
		return failure{exitUsage, err}
	}
	quietLibraries(log)
	limitMemory(memlimit.FromCgroup, log)
	s, err := assemble(cfg, environment(nil), log)
	if err != nil {
		return failure{exitUsage, err}
	}
	s.proxy.Jobs = nil
	s.handleAll(recorder.Handler(s.proxy))
	ctx, cancel := context.WithCancel(ctx)
	if duration > 0 {
		defer time.AfterFunc(duration, cancel).Stop()
	}
	log.Info("observing, and caching nothing, until SIGINT or the end of --for: send clients here")
	var telling sync.WaitGroup
	telling.Go(func() {
		tellProgress(ctx, recorder, log)
		recorder.Stop()
	})
	err = s.run(ctx)
	cancel()
	telling.Wait()
	if err != nil {
		return failed(err)
	}
	return nil
}

// withoutStores is the environment without job store and keys: nothing is kept.
func withoutStores(env []string) (out []string) {
	for _, kv := range env {
		if !strings.HasPrefix(kv, "JOBS_REDIS_") && !strings.HasPrefix(kv, "JOBS_ENCRYPTION_KEY") &&
			!strings.HasPrefix(kv, "KEY_SECRET") {
			out = append(out, kv)
		}
	}
	return out
}

// reportEvery is how often the log says how far the watch is.
const reportEvery = time.Minute

// tellProgress logs the number of observed requests until ctx is done.
func tellProgress(ctx context.Context, recorder *observe.Recorder, log *slog.Logger) {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	said := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		requests, full := recorder.Seen()
		log.Info("observing", "requests", requests)
		if full != "" && !said {
			said = true
			log.Warn("no more is observed: " + full + " was reached. End it now, or let it forward")
		}
	}
}
