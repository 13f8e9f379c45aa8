package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sidecar/policy/yamldoc"
)

// A mistake is one section of a file in testdata/mistakes:
//
//	=== the mistake
//	the policies file
//	>>>
//	line:column: each finding
//
// A file that text cannot show is written as strings of Go, one in a line.
type mistake struct {
	name, content string
	want          []string
}

func mistakesOf(t *testing.T, file string) (list []mistake) {
	t.Helper()
	for section := range strings.SplitSeq("\n"+string(read(t, file)), "\n=== ") {
		if strings.TrimSpace(section) == "" {
			continue
		}
		written, want, _ := strings.Cut(section, "\n>>>\n")
		name, content, _ := strings.Cut(written, "\n")
		m := mistake{name: name, content: content + "\n"}
		if strings.HasPrefix(content, `"`) && strings.Contains(content, `\`) {
			m.content = ""
			for line := range strings.SplitSeq(content, "\n") {
				s, err := strconv.Unquote(line)
				if err != nil {
					t.Fatalf("%s: %s: %s: %v", file, name, line, err)
				}
				m.content += s
			}
		}
		if want = strings.TrimSpace(want); want != "" {
			m.want = strings.Split(want, "\n")
		}
		list = append(list, m)
	}
	return list
}

// parsersWords are those of libraries, which help nobody who writes a policies file.
var parsersWords = regexp.MustCompile(
	`no YAML: |strconv|\binvalid\b|unexpected|at byte|map key|\bnode\b|not allowed|%!|yamldoc`)

// The mistakes that people make, with all that they are told.
func TestMistakesAreToldWithPlaceCauseAndRemedy(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		var rewritten strings.Builder
		for _, m := range mistakesOf(t, file) {
			if names[m.name] {
				t.Errorf("%s: %q stands there twice", file, m.name)
			}
			names[m.name] = true
			got := told(findings(t, "f", m.content))
			rewrite(&rewritten, m, got)
			if *update {
				continue
			}
			if strings.Join(got, "\n") != strings.Join(m.want, "\n") {
				t.Errorf("%s\n%s\ngot\n\t%s\nwant\n\t%s", m.name, m.content,
					strings.Join(got, "\n\t"), strings.Join(m.want, "\n\t"))
			}
			for _, line := range m.want {
				if word := parsersWords.FindString(line); word != "" {
					t.Errorf("%s: %q is a word of a parser: %s", m.name, word, line)
				}
			}
			if len(m.want) == 0 {
				t.Errorf("%s: nothing is told", m.name)
			}
		}
		if *update {
			if err := os.WriteFile(file, []byte(rewritten.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(names) < 200 {
		t.Errorf("%d mistakes", len(names))
	}
}

func told(found *yamldoc.Findings) (lines []string) {
	for _, f := range found.List {
		mark := ""
		if f.Smell {
			mark = "warning: "
		}
		lines = append(lines, fmt.Sprintf("%d:%d: %s%s", f.Line, f.Column, mark, f.Msg))
	}
	return lines
}

// rewrite appends a section with the findings of today.
func rewrite(b *strings.Builder, m mistake, got []string) {
	content := m.content
	if strings.ContainsFunc(content, func(c rune) bool {
		return c < ' ' && c != '\n' || c == '\ufeff' || c == '\ufffd' || c == '\u00a0'
	}) || strings.HasPrefix(content, `"`) && strings.Contains(content, `\`) {
		content = ""
		for line := range strings.Lines(m.content) {
			content += strconv.QuoteToASCII(line) + "\n"
		}
	}
	fmt.Fprintf(b, "=== %s\n%s>>>\n%s\n", m.name, content, strings.Join(got, "\n"))
}
