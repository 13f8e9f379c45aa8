package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set at link time for a release.
var version = "dev"

func versionCommand(c console) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "prints version and commit", Args: noArguments,
		DisableFlagsInUseLine: true,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintln(c.stdout, versionText())
			return nil
		},
	}
}

// versionText is the line that version prints.
func versionText() string { return fmt.Sprintf("sidecar %s (%s)", version, commit()) }

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
