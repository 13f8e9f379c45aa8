package main

import (
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestTheMemoryLimitOfTheContainerIsThatOfGo(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	defer debug.SetMemoryLimit(before)
	log := new(lockedBuffer)
	logger := slog.New(slog.NewTextHandler(log, nil))
	limitMemory(memlimit.Limit(256<<20), logger)
	const want = 256 << 20 * 9 / 10
	if got := debug.SetMemoryLimit(-1); got < want-1 || got > want+1 {
		t.Errorf("GOMEMLIMIT is %d, want %d", got, want)
	}
	if !strings.Contains(log.String(), "memory=2415919") {
		t.Errorf("the log does not tell: %s", log.String())
	}

	limitMemory(func() (uint64, error) { return 0, memlimit.ErrNoLimit }, logger)
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("without a limit it is %d", got)
	}

	t.Setenv("GOMEMLIMIT", "1GiB")
	debug.SetMemoryLimit(1 << 30)
	limitMemory(memlimit.Limit(256<<20), logger)
	if got := debug.SetMemoryLimit(-1); got != 1<<30 {
		t.Errorf("GOMEMLIMIT of the environment does not win: %d", got)
	}
}

func TestConnectionsLeaveFilesForTheBackend(t *testing.T) {
	for _, tt := range []struct {
		configured int
		files      int64
		want       int
	}{
		{0, 1000, 450}, {10, 1000, 10}, {5000, 1000, 450},
		{0, 1 << 20, (1<<20 - 100) / 2}, {0, 20, 1},
	} {
		if got := maxConnections(tt.configured, tt.files); got != tt.want {
			t.Errorf("MAX_CONNECTIONS=%d with %d files: %d, want %d",
				tt.configured, tt.files, got, tt.want)
		}
	}
}
