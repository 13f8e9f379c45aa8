package main

import (
	"context"
	"fmt"
	"runtime/debug"
)

// version is set at link time for a release.
var version = "dev"

func versionCommand(_ context.Context, c console, args []string) int {
	if len(args) > 0 {
		fmt.Fprintln(c.stderr, "sidecar version: takes no arguments")
		return exitUsage
	}
	fmt.Fprintf(c.stdout, "sidecar %s (%s)\n", version, commit())
	return exitDone
}

// commit is the commit that the binary was built from, where the build recorded it.
func commit() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown commit"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return "unknown commit"
}
