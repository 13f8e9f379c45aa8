package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sidecar/internal/config"
	"sidecar/internal/telemetry"
	"sidecar/policy/yamldoc"
)

// runCommand runs the proxy until its context is done.
func runCommand(c console) *cobra.Command {
	cmd := &cobra.Command{
		Use: "run [flags]", Short: "runs the proxy (the default)", Args: noArguments,
		DisableFlagsInUseLine: true,
	}
	overrides := overridesOf(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := config.Load(c.env, overrides)
		if err != nil {
			return refusal(c, err)
		}
		return start(cmd.Context(), c, cfg)
	}
	return cmd
}

// start runs the proxy with cfg.
func start(ctx context.Context, c console, cfg config.Config) error {
	log, err := telemetry.NewLogger(c.stderr, cfg.LogLevel.Level, cfg.LogFormat)
	if err != nil {
		return failure{exitUsage, err}
	}
	for _, w := range config.Warnings(c.env, cfg) {
		log.Warn("a variable is probably not meant", "variable", w.Variable, "why", w.Msg)
	}
	quietLibraries(log)
	limitMemory(memlimit.FromCgroup, log)
	s, err := assemble(cfg, environment(c.env), log)
	if err != nil {
		return refusal(c, err)
	}
	if err := s.run(ctx); err != nil {
		return failed(err)
	}
	return nil
}

// refusal is the failure of a start. Where LOG_FORMAT says json, it is told in lines of the log,
// for programs that read nothing else.
func refusal(c console, err error) error {
	var findings *yamldoc.Findings
	switch format, _ := environment(c.env)("LOG_FORMAT"); {
	case format == "json":
		log, _ := telemetry.NewLogger(c.stderr, slog.LevelError, format) // the format is known
		for line := range strings.SplitSeq(err.Error(), "\n") {
			log.Error("the sidecar does not start", "error", line)
		}
		err = nil
	case errors.As(err, &findings):
		_ = findings.Write(c.stderr, yamldoc.Text)
		err = nil
	}
	return failure{exitUsage, err}
}

// overridesOf adds the flags that win over the environment. It returns the variables that they
// set, once they are parsed.
func overridesOf(flags *pflag.FlagSet) (overrides map[string]string) {
	overrides = map[string]string{}
	for _, f := range []struct{ name, variable, help string }{
		{"backend", "BACKEND_URL", "`URL` of the API behind the sidecar"},
		{"listen", "LISTEN_ADDR", "`ADDR` of the data plane"},
		{"ops", "OPS_ADDR", "`ADDR` of health, metrics and administration"},
		{"policies", "POLICIES_FILE", "`FILE` with the policies"},
	} {
		flags.Func(f.name, f.help+" ("+f.variable+")",
			func(value string) error {
				overrides[f.variable] = value
				return nil
			})
	}
	flags.BoolFunc("embedded", "an in-process Redis (REDIS_EMBEDDED)", func(v string) error {
		overrides["REDIS_EMBEDDED"] = v
		return nil
	})
	return overrides
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

// envCommand prints the environment reference.
func envCommand(c console) *cobra.Command {
	return &cobra.Command{
		Use: "env", Short: "prints the environment reference", Args: noArguments,
		DisableFlagsInUseLine: true,
		RunE: func(*cobra.Command, []string) error {
			if err := config.WriteReference(c.stdout); err != nil {
				return failed(err)
			}
			return nil
		},
	}
}
