package policy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sidecar/policy/yamldoc"
)

// A smell that is meant can be answered in the file.
func TestNobodyWritesAnswersTheSmellThatNothingInvalidates(t *testing.T) {
	const file = "version: 1\nroutes: [{match: GET /a, nobody_writes: %, cache: {scope: shared}}]\n"
	for value, smells := range map[string]int{"true": 0, "false": 1} {
		found := findings(t, "f", strings.Replace(file, "%", value, 1))
		if got := len(found.Smells()); got != smells || found.Faulty() {
			t.Errorf("nobody_writes: %s: %+v", value, found.List)
		}
	}
}

// Smells that differ in their names alone are told once, with the lines of the others.
func TestEqualSmellsAreToldOnce(t *testing.T) {
	var file strings.Builder
	file.WriteString("version: 1\nroutes:\n")
	for i := range 14 {
		fmt.Fprintf(&file, "  - {match: GET /%c, cache: {scope: shared}}\n", 'a'+i)
	}
	var text, machine bytes.Buffer
	found := findings(t, "f", file.String())
	if err := errors.Join(found.Write(&text, yamldoc.Text),
		found.Write(&machine, yamldoc.JSON)); err != nil {
		t.Fatal(err)
	}
	const want = "(13 more like this, in lines 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 …)\n"
	if got := text.String(); strings.Count(got, "warning") != 1 || !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant one warning with %s", got, want)
	}
	if got := strings.Count(machine.String(), "warning"); got != 14 {
		t.Errorf("JSON has %d warnings, want one for each place", got)
	}
}
