package policy

import (
	"fmt"
	"strings"
	"testing"
)

// A faulty file costs as much as a good one, and neither more than a bounded multiple of its
// length: the work is counted in bytes allocated.
func TestAPoliciesFileOfAnyKindIsCheapToLoad(t *testing.T) {
	many := func(n int, line func(i int) string) string {
		var b strings.Builder
		b.WriteString("version: 1\nroutes:\n")
		for i := range n {
			b.WriteString(line(i))
		}
		return b.String()
	}
	list := func(n int, s string) string { return "[" + strings.Repeat(s+", ", n) + s + "]" }
	for what, content := range map[string]string{
		"deep":    "version: 1\nroutes: " + strings.Repeat("[", 40_000),
		"aliases": "version: 1\na: &a " + list(3000, "x") + "\nroutes: " + list(3000, "*a"),
		"a few aliases": "version: 1\nroutes:\n" +
			"  - &a {match: GET /a, cache: {scope: shared, tags: " + list(5000, "x") + "}}\n" +
			strings.Repeat("  - *a\n", 90),
		"routes": many(6000, func(i int) string {
			return fmt.Sprintf("  - {match: GET /a%d, cache: {scope: shared}}\n", i)
		}),
		"conflicts": many(3000, func(i int) string {
			return fmt.Sprintf("  - {match: \"GET /{a}/b%d\", cache: {scope: shared}}\n", i)
		}),
		"faulty routes": many(6000, func(i int) string { return "  - {no: thing}\n" }),
		"templates": many(1900, func(i int) string {
			return fmt.Sprintf("  - {match: PUT /a%d, invalidate: \"a:%d\"}\n", i, i)
		}),
		"faulty patterns": "version: 1\nroutes:\n  - match: " + list(50_000, "x"),
		"a long text":     "version: 1\nroutes:\n  - {name: " + strings.Repeat("x", 500_000) + "}",
		"a long pattern": "version: 1\nroutes:\n  - {match: GET " +
			strings.Repeat("/x", 200_000) + ", deny: true}",
		"wildcards": "version: 1\nroutes:\n  - {match: \"GET " +
			strings.Repeat("/{a}", 100_000) + "\", deny: true}",
		"a long template": "version: 1\nroutes:\n  - {match: PUT /a, invalidate: \"" +
			strings.Repeat("{query.a}:", 20_000) + "\"}",
	} {
		t.Run(what, func(t *testing.T) {
			var found int
			n := allocated(func() {
				_, findings, _ := Load([]byte(content), testOptions())
				found = len(findings.List)
			})
			if n > 300<<20 {
				t.Errorf("%d bytes of file take %d MiB", len(content), n>>20)
			}
			if found > 202 { // faults and warnings, a hundred each, and that there are more
				t.Errorf("%d findings", found)
			}
			t.Logf("%d kB: %d MiB, %d findings", len(content)>>10, n>>20, found)
		})
	}
}
