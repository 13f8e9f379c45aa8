// Command coherence-model searches a model of the coherence protocol for a sequence of steps that
// breaks the guarantee after a write. README.md describes the model and its bounds.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"
)

func main() {
	only := flag.String("only", "", "run only the configurations whose name matches")
	max := flag.Int("max", 12_000_000, "give up beyond so many states")
	big := flag.Bool("big", false, "run those too that take more than 3 million states")
	flag.Parse()
	re := regexp.MustCompile(*only)
	wrong := 0
	report := func(name, note string, expectBad bool, run func() result) {
		if !re.MatchString(name) {
			return
		}
		t := time.Now()
		r := run()
		verdict := "no counterexample, complete"
		if !r.complete {
			verdict = "no counterexample, cut off"
		}
		if r.trace != nil {
			verdict = "COUNTEREXAMPLE"
		}
		mark := "ok   "
		if (r.trace != nil) != expectBad {
			mark, wrong = "WRONG", wrong+1
		}
		fmt.Printf("%s %-37s %-28s %12s states, depth %2d, %5.1fs  %s\n",
			mark, name, verdict, plural(r.states), r.depth, time.Since(t).Seconds(), note)
		for _, l := range r.trace {
			fmt.Println("      " + l)
		}
	}
	for _, c := range tokenConfs {
		if c.big && !*big {
			continue
		}
		report(c.name, c.note, c.expectBad, func() result {
			return explore(c.initState(), c.next, c.badState, c.show, *max)
		})
	}
	for _, c := range memConfs {
		report(c.name, c.note, c.expectBad, func() result {
			return explore(c.initState(), c.next, c.badState, c.show, *max)
		})
	}
	for _, c := range failoverConfs {
		report(c.name, c.note, c.expectBad, func() result {
			return explore(c.initState(), c.next, c.badState, c.show, *max)
		})
	}
	if wrong > 0 {
		fmt.Println(wrong, "configurations did not come out as expected")
		os.Exit(1)
	}
}
