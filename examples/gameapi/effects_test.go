package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestEveryWriteIsSeenInEveryReadThatDependsOnIt carries out the writes of testdata/effects.txt one
// after another, and reads after each everything that there is to read, as every user: only the
// reads that the file names may have changed.
func TestEveryWriteIsSeenInEveryReadThatDependsOnIt(t *testing.T) {
	reads, effects := readEffects(t, "testdata/effects.txt")
	g := newGame(t)
	before := snapshot(g, reads)
	for _, e := range effects {
		method, rest, _ := strings.Cut(e.request, " ")
		path, body, _ := strings.Cut(rest, " ")
		if a := g.do(e.user, method, "/api/v1"+path, body); a.StatusCode >= 300 {
			t.Fatalf("%s %s: status %d: %s", e.user, e.request, a.StatusCode, a.content)
		}
		after := snapshot(g, reads)
		var changed []string
		for read := range after {
			if after[read] != before[read] {
				changed = append(changed, read)
			}
		}
		slices.Sort(changed)
		slices.Sort(e.changes)
		if !slices.Equal(changed, e.changes) {
			t.Errorf("%s %s\nchanged\n  %s\nand not\n  %s",
				e.user, e.request, strings.Join(changed, "\n  "), strings.Join(e.changes, "\n  "))
		}
		before = after
	}
}

// An effect is a write and the reads whose answers it changes, as "user path".
type effect struct {
	user, request string
	changes       []string
}

// readEffects reads the file, which explains itself.
func readEffects(t *testing.T, name string) (reads []string, effects []effect) {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case line == "" || line[0] == '#':
		case strings.HasPrefix(line, "read "):
			reads = append(reads, line[len("read "):])
		case strings.HasPrefix(line, "\t"):
			users, path, _ := strings.Cut(line[1:], " ")
			last := &effects[len(effects)-1]
			for user := range strings.SplitSeq(users, ",") {
				last.changes = append(last.changes, user+" "+path)
			}
		default:
			user, request, _ := strings.Cut(line, " ")
			effects = append(effects, effect{user: user, request: request})
		}
	}
	return reads, effects
}

// snapshot is the answer to each read of each user.
func snapshot(g *game, reads []string) map[string]string {
	seen := map[string]string{}
	for _, path := range reads {
		for _, user := range []string{"thorin", "lyra", "mara", "dm"} {
			a := g.do(user, "GET", "/api/v1"+path, "")
			seen[user+" "+path] = fmt.Sprint(a.StatusCode, " ", string(a.content))
		}
	}
	return seen
}
