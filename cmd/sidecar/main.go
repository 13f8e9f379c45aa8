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
	"slices"
	"strings"
	"syscall"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFaulty = 1 // the thing that was checked is faulty, or the operation failed
	exitUsage  = 2 // wrong usage or configuration
)

// A console is the environment and the output of a command. Tests run commands with their own.
type console struct {
	env    []string // KEY=value
	stdout io.Writer
	stderr io.Writer
}

// A command is one of the sidecar's commands. run returns the exit status.
type command struct {
	name, args, does string
	run              func(ctx context.Context, c console, args []string) int
}

func commands() []command {
	return []command{
		{"run", "[--backend URL] [--listen ADDR] [--ops ADDR] [--policies FILE] [--embedded]", "runs the proxy (the default)", runCommand},
		{"demo", "[--listen ADDR] [--ops ADDR]", "starts a small game API, an embedded Redis and the sidecar, and says what to try", demoCommand},
		{"validate", "[--format text|json|github] [FILE]", "checks a policies file", validateCommand},
		{"purge", "[--ops URL] [--all] TAG...", "invalidates tags in a running sidecar, with ADMIN_TOKEN", purgeCommand},
		{"env", "", "prints the environment reference", envCommand},
		{"version", "", "prints version and commit", versionCommand},
	}
}

func main() {
	ctx, stop := untilSignal()
	status := dispatch(ctx, console{env: os.Environ(), stdout: os.Stdout, stderr: os.Stderr}, os.Args[1:])
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

// dispatch runs the command that args name; without a name, or with a flag first, that is run.
func dispatch(ctx context.Context, c console, args []string) int {
	name := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	} else if len(args) > 0 && slices.Contains([]string{"-h", "-help", "--help"}, args[0]) {
		name = "help"
	}
	if name == "help" {
		usage(c.stdout)
		return exitDone
	}
	for _, cmd := range commands() {
		if cmd.name == name {
			return cmd.run(ctx, c, args)
		}
	}
	fmt.Fprintf(c.stderr, "sidecar: there is no command %q\n\n", name)
	usage(c.stderr)
	return exitUsage
}

func usage(w io.Writer) {
	fmt.Fprint(w, "usage: sidecar [COMMAND]\n\n")
	for _, cmd := range commands() {
		fmt.Fprintf(w, "  sidecar %s %s\n      %s\n", cmd.name, cmd.args, cmd.does)
	}
	fmt.Fprint(w, "\nThe environment configures it: see sidecar env.\n")
}
