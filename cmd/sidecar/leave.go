package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// leaveCommand asks a running sidecar to send its clients elsewhere: for a preStop hook, which runs
// before the API ends.
func leaveCommand(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "leave [--ops URL]",
		Short: "makes a running sidecar send its clients elsewhere, with ADMIN_TOKEN",
		Long: "Readiness fails and each connection's next answer is its last. Everything is served" +
			" until SIGTERM.\nFor the preStop hook of a native sidecar container.",
		Args: noArguments, DisableFlagsInUseLine: true,
	}
	ops := opsFlag(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := adminClient(c.env, *ops)
		if err != nil {
			return failure{exitUsage, err}
		}
		answer, err := client.post(cmd.Context(), "/admin/leave", nil)
		if err != nil {
			return failed(err)
		}
		fmt.Fprintln(c.stdout, answer)
		return nil
	}
	return cmd
}
