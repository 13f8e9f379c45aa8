package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// setUsage makes the command and all below it print their help by usage. Not by templates: a
// program with text/template keeps every exported method of every type that it has in an interface,
// which makes this one half as large again.
func setUsage(root *cobra.Command) {
	root.SetUsageFunc(func(cmd *cobra.Command) error {
		_, err := fmt.Fprint(cmd.OutOrStderr(), usage(cmd))
		return err
	})
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		fmt.Fprint(cmd.OutOrStdout(), usage(cmd))
	})
}

// usage is the help of a command.
func usage(cmd *cobra.Command) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nusage: %s", cmd.Short, cmd.UseLine())
	if cmd.Long != "" {
		fmt.Fprintf(&b, "\n\n%s", cmd.Long)
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\n\nexamples:\n%s", cmd.Example)
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("\n\ncommands:")
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, "\n  %-*s  %s", sub.NamePadding(), sub.Name(), sub.Short)
			}
		}
	}
	if cmd.HasAvailableFlags() {
		flags := strings.TrimRight(cmd.Flags().FlagUsages(), " \n")
		fmt.Fprintf(&b, "\n\nflags:\n%s", flags)
	}
	b.WriteByte('\n')
	return b.String()
}

// addVersion adds the flag --version to the command without a name.
func addVersion(root *cobra.Command, c console) {
	const name = "version"
	asked := root.Flags().BoolP(name, "v", false, "version for "+root.Name())
	run, arguments := root.RunE, root.Args
	root.Args = func(cmd *cobra.Command, args []string) error {
		if *asked {
			return nil
		}
		return arguments(cmd, args)
	}
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *asked {
			fmt.Fprintln(c.stdout, versionText())
			return nil
		}
		return run(cmd, args)
	}
}
