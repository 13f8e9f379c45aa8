package e2e

import (
	"os"
	"testing"

	"sidecar/test/proc"
)

func TestMain(m *testing.M) {
	status := m.Run()
	proc.Clean()
	os.Exit(status)
}
