package main

import (
	"log/slog"
	"math"
	"runtime"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is the share of the container's memory that Go may use before it collects garbage at
// any price. The rest is for the program itself and for the kernel's socket buffers.
const memoryShare = 0.9

// limitMemory sets GOMEMLIMIT by the memory limit of the cgroup, unless it is set. GOMAXPROCS needs
// nothing: Go follows the cgroup's CPU limit by itself.
func limitMemory(limitOf memlimit.Provider, log *slog.Logger) {
	limit, err := memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(limitOf))
	if err != nil {
		log.Warn("the memory limit of the cgroup cannot be read: set GOMEMLIMIT", "error", err)
		return
	}
	if limit == math.MaxInt64 {
		limit = 0
	}
	log.Info("limits", "memory", limit, "processors", runtime.GOMAXPROCS(0), "files", openFiles())
}

// ownFiles are kept for Redis, the log, policies and the ops address.
const ownFiles = 100

// maxConnections is MAX_CONNECTIONS, or fewer where there are not enough files: each client may
// need a connection to the backend. Further clients wait to be accepted. Without this bound those
// that are accepted would be answered 502.
func maxConnections(configured int, files int64) int {
	room := int(max(1, (files-ownFiles)/2))
	if configured == 0 {
		return room
	}
	return min(configured, room)
}
