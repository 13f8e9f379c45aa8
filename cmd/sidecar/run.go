package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"sidecar/internal/config"
	"sidecar/internal/telemetry"
	"sidecar/policy"
	"sidecar/policy/yamldoc"
)

// runCommand runs the proxy until ctx is done.
func runCommand(ctx context.Context, c console, args []string) int {
	overrides, status, ok := runFlags(c.stderr, args)
	if !ok {
		return status
	}
	cfg, err := config.Load(c.env, overrides)
	if err != nil {
		fmt.Fprintln(c.stderr, prefixed("sidecar: ", err))
		return exitUsage
	}
	return start(ctx, c, cfg)
}

// start runs the proxy with cfg.
func start(ctx context.Context, c console, cfg config.Config) int {
	log, err := telemetry.NewLogger(c.stderr, cfg.LogLevel.Level, cfg.LogFormat)
	if err != nil {
		fmt.Fprintf(c.stderr, "sidecar: %v\n", err)
		return exitUsage
	}
	quietLibraries(log)
	limitMemory(memlimit.FromCgroup, log)
	s, err := assemble(cfg, environment(c.env), log)
	if err != nil {
		var findings *yamldoc.Findings
		if errors.As(err, &findings) {
			_ = findings.Write(c.stderr, yamldoc.Text)
		} else {
			fmt.Fprintln(c.stderr, prefixed("sidecar: ", err))
		}
		return exitUsage
	}
	if err := s.run(ctx); err != nil {
		fmt.Fprintln(c.stderr, prefixed("sidecar: ", err))
		return exitFaulty
	}
	return exitDone
}

// runFlags reads the flags of run as variables that win over the environment. ok is false if the
// command ends here.
func runFlags(stderr io.Writer, args []string) (overrides map[string]string, status int, ok bool) {
	flags := flag.NewFlagSet("sidecar run", flag.ContinueOnError)
	flags.SetOutput(stderr)
	overrides = map[string]string{}
	for name, variable := range map[string]string{
		"backend": "BACKEND_URL", "listen": "LISTEN_ADDR", "ops": "OPS_ADDR", "policies": "POLICIES_FILE",
	} {
		flags.Func(name, "overrides "+variable, func(value string) error {
			overrides[variable] = value
			return nil
		})
	}
	flags.BoolFunc("embedded", "overrides REDIS_EMBEDDED", func(value string) error {
		overrides["REDIS_EMBEDDED"] = value
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return nil, usageStatus(err), false
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(stderr, "sidecar run: %q is too much: everything is a flag or a variable, see sidecar env\n", flags.Arg(0))
		return nil, exitUsage, false
	}
	return overrides, exitDone, true
}

// environment looks variables up in a list of KEY=value.
func environment(list []string) func(string) (string, bool) {
	vars := map[string]string{}
	for _, kv := range list {
		if key, value, ok := strings.Cut(kv, "="); ok {
			vars[key] = value
		}
	}
	return func(name string) (string, bool) {
		value, ok := vars[name]
		return value, ok
	}
}

// prefixed puts prefix before each line of an error.
func prefixed(prefix string, err error) string {
	return prefix + strings.ReplaceAll(err.Error(), "\n", "\n"+prefix)
}

// envCommand prints the environment reference.
func envCommand(_ context.Context, c console, args []string) int {
	if len(args) > 0 {
		fmt.Fprintln(c.stderr, "sidecar env: takes no arguments")
		return exitUsage
	}
	if err := config.WriteReference(c.stdout); err != nil {
		return exitFaulty
	}
	return exitDone
}

// defaultPolicies is the file that validate checks where none is named.
func defaultPolicies(env []string) string {
	if file, ok := environment(env)("POLICIES_FILE"); ok && file != "" {
		return file
	}
	return "policies.yaml"
}

// validateCommand checks a policies file.
func validateCommand(_ context.Context, c console, args []string) int {
	flags := flag.NewFlagSet("sidecar validate", flag.ContinueOnError)
	flags.SetOutput(c.stderr)
	format := flags.String("format", "text", "text, json or github")
	if err := flags.Parse(args); err != nil {
		return usageStatus(err)
	}
	switch {
	case flags.NArg() > 1:
		fmt.Fprintln(c.stderr, "sidecar validate: one file at a time")
		return exitUsage
	case *format != string(yamldoc.Text) && *format != string(yamldoc.JSON) && *format != string(yamldoc.GitHub):
		fmt.Fprintf(c.stderr, "sidecar validate: --format is text, json or github, not %q\n", *format)
		return exitUsage
	}
	file := flags.Arg(0)
	if file == "" {
		file = defaultPolicies(c.env)
	}
	content, err := policy.ReadFile(file)
	if err != nil {
		fmt.Fprintf(c.stderr, "sidecar validate: %v\n", err)
		if errors.Is(err, os.ErrNotExist) {
			return exitUsage
		}
		return exitFaulty
	}
	_, found, err := policy.Load(content, policy.Options{File: file})
	if werr := found.Write(c.stdout, yamldoc.Format(*format)); werr != nil || err != nil {
		return exitFaulty
	}
	if *format == string(yamldoc.Text) {
		fmt.Fprintf(c.stdout, "%s: %d warnings, no faults\n", file, len(found.Smells()))
	}
	return exitDone
}
