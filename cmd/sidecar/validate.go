package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"sidecar/internal/config"
	"sidecar/policy"
	"sidecar/policy/yamldoc"
)

// validateCommand checks a policies file.
func validateCommand(c console) *cobra.Command {
	formats := []string{string(yamldoc.Text), string(yamldoc.JSON), string(yamldoc.GitHub)}
	cmd := &cobra.Command{
		Use:   "validate [--format text|json|github] [FILE]",
		Short: "checks a policies file",
		Long: "Without FILE it is that of POLICIES_FILE, or policies.yaml; with - the standard" +
			" input.\nThe exit status is 1 if there is a fault.",
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("one file at a time")
			}
			return nil
		},
	}
	format := cmd.Flags().String("format", "text", "`FORMAT`: text, json or github")
	_ = cmd.RegisterFlagCompletionFunc("format",
		cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if !slices.Contains(formats, *format) {
			return misused("--format is text, json or github, not %q", *format)
		}
		file := defaultPolicies(c.env)
		if len(args) > 0 {
			file = args[0]
		}
		return validate(c, file, yamldoc.Format(*format))
	}
	return cmd
}

// schemaCommand prints the JSON Schema of a policies file.
func schemaCommand(c console) *cobra.Command {
	return &cobra.Command{
		Use: "schema", Short: "prints the JSON Schema of policies.yaml, for editors",
		Args: noArguments,
		Long: "Save it as policies.schema.json, and begin policies.yaml with:\n" +
			"# yaml-language-server: $schema=policies.schema.json",
		DisableFlagsInUseLine: true,
		RunE: func(*cobra.Command, []string) error {
			if _, err := c.stdout.Write(policy.Schema); err != nil {
				return failed(err)
			}
			return nil
		},
	}
}

func validate(c console, file string, format yamldoc.Format) error {
	content, err := readPolicies(c, file)
	if err != nil {
		return err
	}
	queues, err := config.QueueNames(environment(c.env))
	if err != nil {
		return failed(err)
	}
	_, found, err := policy.Load(content, policy.Options{File: file, Queues: queues})
	if werr := found.Write(c.stdout, format); werr != nil || err != nil {
		return failed(nil)
	}
	if format == yamldoc.Text {
		warnings := "warnings"
		if len(found.Smells()) == 1 {
			warnings = "warning"
		}
		fmt.Fprintf(c.stdout, "%s: %d %s, no faults\n", file, len(found.Smells()), warnings)
	}
	return nil
}

// readPolicies reads a policies file; "-" is the standard input.
func readPolicies(c console, file string) ([]byte, error) {
	if file == "-" {
		content, err := io.ReadAll(io.LimitReader(c.stdin, yamldoc.MaxSize+1))
		if err != nil {
			return nil, failed(err)
		}
		return content, nil
	}
	content, err := policy.ReadFile(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, failure{exitUsage, err}
	case err != nil:
		return nil, failed(err)
	}
	return content, nil
}

// defaultPolicies is the file that is read where none is named.
func defaultPolicies(env []string) string {
	if file, ok := environment(env)("POLICIES_FILE"); ok && file != "" {
		return file
	}
	return "policies.yaml"
}
