package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sidecar/internal/config"
	"sidecar/test/proc"
	"sidecar/test/redisd"
	"sidecar/test/rfc"
)

func TestTheCachingRFCsAreKept(t *testing.T) {
	t.Parallel()
	rfc.TheCachingRFCsAreKept(t, startInProcess, rfc.All)
}

func TestAPolicySaysHowLongAnAnswerMayBeUsedStale(t *testing.T) {
	t.Parallel()
	rfc.APolicySaysHowLongAnAnswerMayBeUsedStale(t, startInProcess)
}

func TestAGroupIsInvalidatedTogetherAsRFC9875Says(t *testing.T) {
	t.Parallel()
	rfc.AGroupIsInvalidatedTogether(t, startInProcess)
}

func TestABrokenPromiseIsNoticed(t *testing.T) {
	t.Parallel()
	rfc.ABrokenPromiseIsNoticed(t, startInProcess)
}

// startInProcess runs a sidecar in the test's process, as the run command does, on a Redis of its
// own and a free loopback port. It is stopped when the test ends.
func startInProcess(t *testing.T, backend, policies string, env ...string) (url string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(file, []byte(policies), 0o600); err != nil {
		t.Fatal(err)
	}
	redis := redisd.Start(t)
	env = append([]string{
		"BACKEND_URL=" + backend, "REDIS_HOST=" + redis.Host(), "REDIS_PORT=" + redis.Port(),
		"POLICIES_FILE=" + file, "LISTEN_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0",
		"KEY_SECRET=key-secret-for-tests-of-32-bytes!", "CACHE_STATUS=full",
	}, env...)
	cfg, err := config.Load(env, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := assemble(cfg, environment(env), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the sidecar ended with %v", err)
		}
	})
	proc.Await(t, 20*time.Second, func() error { return s.cache.Healthy() })
	return "http://" + s.data.listener.Addr().String()
}
