// Command sidecar is a reverse proxy that runs beside an HTTP API and makes it fast: it caches GET
// answers in Redis by the route policies of a YAML file, invalidates entries that writes changed,
// and moves slow POSTs into jobs.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // the image has no time zones, and schedules name them

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"sidecar/internal/nearest"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFaulty = 1 // the thing that was checked is faulty, or the operation failed
	exitUsage  = 2 // wrong usage or configuration
)

// A console is the environment and the streams of a command. Tests run commands with their own.
type console struct {
	env    []string // KEY=value
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
}

// A failure ends a command with an exit status. err is nil if the command has said all.
type failure struct {
	status int
	err    error
}

func (f failure) Error() string { return fmt.Sprint(f.err) }

// misused is the failure of a command that was used or configured wrongly.
func misused(format string, args ...any) error {
	return failure{exitUsage, fmt.Errorf(format, args...)}
}

// failed is the failure of a command that was used rightly.
func failed(err error) error { return failure{exitFaulty, err} }

func main() {
	ctx, stop := untilSignal()
	c := console{env: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}
	status := dispatch(ctx, c, os.Args[1:])
	stop()
	os.Exit(status)
}

// errTerminated is the cause of a context that SIGTERM has ended: load balancers are to notice
// before the sidecar stops serving.
var errTerminated = errors.New("SIGTERM")

// untilSignal returns a context that ends with SIGINT or SIGTERM. A second SIGINT ends the process.
func untilSignal() (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() { // ends with the context
		select {
		case <-ctx.Done():
		case s := <-signals:
			signal.Reset(syscall.SIGINT)
			if s == syscall.SIGTERM {
				cancel(errTerminated)
			}
			cancel(nil)
		}
	}()
	return ctx, func() { cancel(nil) }
}

// dispatch runs the command that args name, and returns the exit status.
func dispatch(ctx context.Context, c console, args []string) int {
	root := rootCommand(c)
	root.SetArgs(append([]string{}, idsLast(args)...)) // nil would be those of the process
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var f failure
	switch {
	case err == nil:
		return exitDone
	case !errors.As(err, &f):
		f = failure{exitUsage, fmt.Errorf("%w\nsee %s --help", err, cmd.CommandPath())}
	}
	if f.err != nil {
		fmt.Fprintln(c.stderr, prefixed(cmd.CommandPath()+": ", f.err))
	}
	return f.status
}

// rootCommand is the command without a name, which runs the proxy, with all others below it.
func rootCommand(c console) *cobra.Command {
	root := runCommand(c)
	root.Use = "sidecar [COMMAND] [flags]"
	root.Short = "a caching reverse proxy beside an HTTP API; without a command it runs"
	root.Long = "The environment configures it: see sidecar env. Flags win over it."
	root.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return fmt.Errorf("there is no command %q%s", args[0], didYouMean(args[0], namesOf(cmd)))
	}
	addVersion(root, c)
	root.SilenceErrors, root.SilenceUsage = true, true
	setUsage(root)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(runCommand(c), demoCommand(c), initCommand(c), observeCommand(c),
		validateCommand(c),
		explainCommand(c), schemaCommand(c), purgeCommand(c), jobsCommand(c),
		healthcheckCommand(c), leaveCommand(c),
		envCommand(c), versionCommand(c))
	return root
}

// flagError adds the nearest known flag to an error about a flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	name := "--" + unknown.GetSpecifiedName()
	return fmt.Errorf("there is no flag %s%s", name, didYouMean(name, names))
}

// didYouMean proposes the nearest of names, if there is one that is near.
func didYouMean(name string, names []string) string {
	if near := nearest.To(name, names); near != "" {
		return ": did you mean " + near + "?"
	}
	return ""
}

func namesOf(cmd *cobra.Command) (names []string) {
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	return names
}

// noArguments refuses arguments.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is too much: %s takes no arguments", args[0], cmd.Name())
	}
	return nil
}

// prefixed puts prefix before each line of an error.
func prefixed(prefix string, err error) string {
	return prefix + strings.ReplaceAll(err.Error(), "\n", "\n"+prefix)
}
