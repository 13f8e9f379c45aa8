// Command bench measures the sidecar beside nginx, Varnish and HAProxy on the same work, in turns,
// on this machine. docs/performance.md says how to run it and has its last results.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if addresses := os.Getenv(relayVariable); addresses != "" {
		fmt.Fprintln(os.Stderr, "bench:", serveRelay(addresses))
		os.Exit(1)
	}
	if err := command(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A form is the extent of a run: kinds, loads and times.
type form struct {
	Kinds       []string
	Connections []int
	Bodies      []int
	Rounds      int
	Time        time.Duration // of one round of one server
	Entries     int           // the greater number of entries in the table about them
	tables      bool
	only        []string // of the tables; nil: all
	profile     bool
	skipCells   bool
}

// The kinds of work.
const (
	hit         = "hit"   // from the memory of the process
	fromRedis   = "redis" // a hit that is read from Redis
	passThrough = "pass"  // an uncached GET
)

var kinds = []string{hit, fromRedis, passThrough}

var (
	quick = form{
		Kinds: kinds, Connections: []int{32}, Bodies: []int{2000},
		Rounds: 3, Time: time.Second, Entries: 100_000,
	}
	documented = form{
		Kinds: kinds, Connections: []int{1, 32, 256}, Bodies: []int{200, 2000, 100_000},
		Rounds: 3, Time: 800 * time.Millisecond, Entries: 1_000_000, tables: true, profile: true,
	}
	full = form{
		Kinds: kinds, Connections: documented.Connections, Bodies: documented.Bodies,
		Rounds: 5, Time: 2 * time.Second, Entries: 1_000_000, tables: true, profile: true,
	}
)

// options are the command line.
type options struct {
	form
	module  string // the directory of the module
	sidecar string // the binary; "": it is built
	json    string // the file for the result
	docs    bool   // update the documentation
	render  bool   // do so from the last result, and measure nothing
}

func command(ctx context.Context, args []string, out, errs io.Writer) error {
	o, err := parse(args, errs)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.render {
		return render(o.module)
	}
	r, err := measure(ctx, o, out)
	if err != nil {
		return err
	}
	if err := r.print(out); err != nil {
		return err
	}
	if o.json != "" {
		if err := write(o.json, r); err != nil {
			return err
		}
	}
	if !o.docs {
		return nil
	}
	if len(o.only) > 0 {
		last, err := readResult(resultFile(o.module))
		if err != nil {
			return err
		}
		r = r.over(last)
	}
	if err := write(resultFile(o.module), r); err != nil {
		return err
	}
	return render(o.module)
}

func write(file string, r *result) error {
	content, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(content, '\n'), 0o644)
}

func parse(args []string, errs io.Writer) (options, error) {
	o := options{form: quick}
	switch {
	case slices.Contains(args, "-full"):
		o.form = full
	case slices.Contains(args, "-docs"):
		o.form = documented
	}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(errs)
	f.Bool("full", false, "everything, with five rounds of 2 s: half an hour")
	f.BoolVar(&o.docs, "docs", false,
		"everything in 12 minutes; update bench/results.json and docs/performance*")
	f.BoolVar(&o.render, "render", false,
		"only write docs/performance* anew from bench/results.json")
	f.Func("kinds", "kinds of work: hit,redis,pass", func(s string) error {
		o.Kinds = strings.Split(s, ",")
		for _, k := range o.Kinds {
			if !slices.Contains(kinds, k) {
				return fmt.Errorf("%q is none of %v", k, kinds)
			}
		}
		return nil
	})
	f.Func("connections", "connections: 1,32,256", numbers(&o.Connections))
	f.Func("bodies", "bytes of the bodies: 200,2000,100000", numbers(&o.Bodies))
	f.IntVar(&o.Rounds, "rounds", o.Rounds, "rounds; in each every server has its turn")
	f.DurationVar(&o.Time, "time", o.Time, "length of a turn")
	f.BoolVar(&o.tables, "tables", o.tables,
		"how the cost grows: routes, tags, entries, sidecars, memory")
	f.Func("only", "nothing but these of the tables: "+strings.Join(growthNames(), ",")+
		"; with -docs the rest stays", func(s string) error {
		o.tables, o.profile, o.skipCells, o.only = true, false, true, strings.Split(s, ",")
		for _, name := range o.only {
			if !slices.Contains(growthNames(), name) {
				return fmt.Errorf("%q is none of %v", name, growthNames())
			}
		}
		return nil
	})
	f.IntVar(&o.Entries, "entries", o.Entries,
		"most entries in the table about them; a million take 6 GiB")
	f.BoolVar(&o.profile, "profile", o.profile, "a profile of each kind of work")
	f.BoolVar(&o.skipCells, "no-peers", false,
		"leave the comparison out: for -tables or -profile alone")
	f.StringVar(&o.sidecar, "sidecar", "", "the binary to measure; by default this tree is built")
	f.StringVar(&o.module, "module", ".", "directory of the module")
	f.StringVar(&o.json, "json", "", "file for the result")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 || o.Rounds < 1 || o.Time <= 0 || o.Entries < 1 {
		return o, fmt.Errorf("not understood: %q; see -help", args)
	}
	return o, nil
}

func numbers(into *[]int) func(string) error {
	return func(s string) error {
		*into = nil
		for field := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(field)
			if err != nil || n < 1 {
				return fmt.Errorf("%q is no number", field)
			}
			*into = append(*into, n)
		}
		return nil
	}
}
