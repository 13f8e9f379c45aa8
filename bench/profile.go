package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A breakdown says where the CPU time of one kind of work goes.
type breakdown struct {
	Kind      string  `json:"kind"`
	Groups    []share `json:"groups"`    // add up to nearly 100 %
	Functions []share `json:"functions"` // with everything that they call
}

// A share is a part of the CPU time, in percent.
type share struct {
	Name    string  `json:"name"`
	Percent float64 `json:"percent"`
}

// Bounds of a breakdown.
const (
	profileTime  = 4 // seconds
	maxFunctions = 10
	minPercent   = 1
)

// profile breaks each kind of work down, with 32 connections and 2 KB.
func profile(ctx context.Context, o options, s *stack, out io.Writer, r *result) error {
	v, err := s.profiled(ctx, "profiled", policies)
	if err != nil {
		return err
	}
	for _, kind := range o.Kinds {
		path := "/" + kind + "/" + sizeName(2000)
		if err := s.cached(ctx, v, kind, path); err != nil {
			return err
		}
		file := filepath.Join(s.dir, kind+".pprof")
		if err := s.record(ctx, v, path, file); err != nil {
			return err
		}
		b, err := s.breakdown(ctx, kind, file)
		if err != nil {
			return err
		}
		r.Profiles = append(r.Profiles, b)
		fmt.Fprint(out, b.text())
	}
	return nil
}

// record records a profile while the path is loaded.
func (s *stack) record(ctx context.Context, v server, path, file string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	loaded := make(chan error, 1)
	go func() { // ends with its wrk
		_, err := run(ctx, v.url(path), growthConnections, (profileTime+1)*time.Second, "")
		loaded <- err
	}()
	res, err := http.Get(v.profiles + "profile?seconds=" + strconv.Itoa(profileTime))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if err := <-loaded; err != nil {
		return err
	}
	return os.WriteFile(file, content, 0o644)
}

func (s *stack) breakdown(ctx context.Context, kind, file string) (breakdown, error) {
	b := breakdown{Kind: kind}
	out, err := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=100000",
		"-nodefraction=0", s.profile, file).Output()
	if err != nil {
		return b, fmt.Errorf("go tool pprof: %w", err)
	}
	groups, seen := map[string]float64{}, map[float64]bool{}
	for line := range strings.Lines(string(out)) {
		// flat flat% sum% cum cum% function
		fields := strings.Fields(line)
		if len(fields) < 6 || !strings.HasSuffix(fields[1], "%") {
			continue
		}
		name, flat, cum := fields[5], percent(fields[1]), percent(fields[4])
		groups[group(name)] += flat
		if strings.HasPrefix(name, "sidecar/") && cum >= minPercent && !seen[cum] {
			b.Functions = append(b.Functions, share{shortened(name), cum})
			seen[cum] = true // one that only calls another has the same share
		}
	}
	for name, p := range groups {
		b.Groups = append(b.Groups, share{name, round(p)})
	}
	b.Groups, b.Functions = greatest(b.Groups, len(b.Groups)), greatest(b.Functions, maxFunctions)
	return b, nil
}

func greatest(of []share, n int) []share {
	slices.SortFunc(of, func(a, b share) int {
		if a.Percent != b.Percent {
			return int(100 * (b.Percent - a.Percent))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return of[:min(n, len(of))]
}

func percent(s string) float64 {
	f, _ := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	return f
}

// runtimeMemory are beginnings of the names of the functions that allocate and collect.
var runtimeMemory = []string{
	"malloc", "gc", "scan", "sweep", "mark", "heap", "(*mheap", "(*mcache", "(*mcentral", "(*mspan",
	"(*gc",
	"(*lfstack", "newobject", "makeslice", "growslice", "grey", "wb", "bulkBarrier", "memclr",
	"typePointers",
	"(*sweep", "(*unwinder", "nextFree", "bgsweep", "publicationBarrier", "tryDefer",
}

// group is the part of a breakdown to which a function belongs.
func group(function string) string {
	pkg, name := split(function)
	switch {
	case strings.HasPrefix(pkg, "internal/runtime/syscall"), pkg == "syscall",
		name == "futex", name == "epollwait", name == "usleep":
		return "system calls"
	case strings.HasPrefix(pkg, "runtime"), strings.HasPrefix(pkg, "internal/runtime"):
		begins := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
		if slices.ContainsFunc(runtimeMemory, begins) {
			return "Go runtime: memory"
		}
		return "Go runtime: scheduler, poller, maps, copying"
	case strings.HasPrefix(pkg, "crypto"), strings.HasPrefix(pkg, "hash"):
		return "crypto and hash"
	case strings.HasPrefix(pkg, "sidecar/"), pkg == "main":
		return "the sidecar's own code"
	case strings.Contains(pkg, "go-redis"):
		return "go-redis"
	case strings.Contains(pkg, "klauspost/compress"):
		return "zstd"
	case strings.Contains(pkg, "prometheus"):
		return "Prometheus client"
	case strings.Contains(pkg, "."):
		return "other modules"
	case pkg == "net", pkg == "internal/poll", pkg == "bufio", pkg == "net/http",
		pkg == "net/textproto":
		return "net, net/http, bufio"
	case strings.HasPrefix(pkg, "sync"), pkg == "internal/sync", pkg == "context", pkg == "time":
		return "sync, context, time"
	}
	return "strings, bytes and the like"
}

// split parts a function's name into its package and the rest.
func split(function string) (pkg, name string) {
	receiver := strings.IndexAny(function, "([") // types have slashes too
	if receiver < 0 {
		receiver = len(function)
	}
	slash := strings.LastIndexByte(function[:receiver], '/') + 1
	if i := strings.IndexByte(function[slash:], '.'); i >= 0 {
		return function[:slash+i], function[slash+i+1:]
	}
	return "runtime", function // in assembler
}

// shortened is a function's name without the module, and without the types of a generic one.
func shortened(name string) string {
	name = strings.TrimPrefix(name, "sidecar/")
	return strings.ReplaceAll(name, "[...]", "")
}
