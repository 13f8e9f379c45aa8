package e2e

import (
	"flag"
	"os"
	"testing"

	"sidecar/test/proc"
)

// atOnce is how many tests run side by side where -parallel does not say it. Most of the time a
// test waits: for a lease to run out, a breaker to close, a process to end.
const atOnce = "5"

func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", atOnce)
	}
	built := proc.BuildAhead("../../cmd/sidecar", "../../examples/gameapi")
	status := m.Run()
	built()
	proc.Clean()
	os.Exit(status)
}
