package e2e

import (
	"flag"
	"testing"

	"sidecar/test/rfc"
)

var everyRFCCase = flag.Bool("rfc.all", false,
	"run every case of the RFC tables against the binary, not the first one of each theme")

// The tables run whole in the process of cmd/sidecar's tests. Here the same cases meet the binary:
// the first one of each theme, or all with -rfc.all.
func TestTheBinaryKeepsTheCachingRFCs(t *testing.T) {
	t.Parallel()
	rows := rfc.FirstOfEach
	if *everyRFCCase {
		rows = rfc.All
	}
	rfc.TheCachingRFCsAreKept(t, startForRFC, rows)
	if *everyRFCCase {
		rfc.APolicySaysHowLongAnAnswerMayBeUsedStale(t, startForRFC)
		rfc.AGroupIsInvalidatedTogether(t, startForRFC)
		rfc.ABrokenPromiseIsNoticed(t, startForRFC)
	}
}

func startForRFC(t *testing.T, backend, policies string, env ...string) string {
	t.Helper()
	return startBefore(t, backend, policiesFile(t, policies), env...).url
}
