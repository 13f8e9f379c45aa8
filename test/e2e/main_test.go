package e2e

import (
	"os"
	"testing"

	"sidecar/test/proc"
)

// atOnce is how many tests run side by side. Most of the time a test waits: for a lease to run out,
// a breaker to close, a process to end.
const atOnce = 5

func TestMain(m *testing.M) {
	proc.SideBySide(atOnce)
	built := proc.BuildAhead("../../cmd/sidecar", "../../examples/gameapi")
	status := m.Run()
	built()
	proc.Clean()
	os.Exit(status)
}
