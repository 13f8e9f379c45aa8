package yamldoc

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// A Finding is a fault of a file, or a smell: a setting that is legal and probably not meant.
type Finding struct {
	Line, Column int    // from 1; the column in characters
	Msg          string // the fault and the remedy
	Smell        bool
}

// Findings are the faults and smells of one file.
type Findings struct {
	File   string
	Source []byte
	List   []Finding
}

// A Format is how findings are written.
type Format string

// The formats of findings.
const (
	Text   Format = "text"   // file:line:col: message, and the source line under it
	JSON   Format = "json"   // an array of objects
	GitHub Format = "github" // workflow commands, which GitHub shows beside the line
)

// sort puts findings in the order of the file.
func (f *Findings) sort() {
	slices.SortStableFunc(f.List, func(a, b Finding) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// Faulty reports whether there is a fault.
func (f *Findings) Faulty() bool {
	return slices.ContainsFunc(f.List, func(x Finding) bool { return !x.Smell })
}

// Smells are the findings that are no faults.
func (f *Findings) Smells() []Finding {
	var out []Finding
	for _, x := range f.List {
		if x.Smell {
			out = append(out, x)
		}
	}
	return out
}

// Error implements error: every fault in text form.
func (f *Findings) Error() string {
	var b strings.Builder
	for _, x := range f.List {
		if !x.Smell {
			fmt.Fprintf(&b, "%s:%d:%d: %s\n", f.File, x.Line, x.Column, x.Msg)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Write writes the findings.
func (f *Findings) Write(w io.Writer, format Format) error {
	switch format {
	case JSON:
		return f.writeJSON(w)
	case GitHub:
		return f.writeGitHub(w)
	}
	return f.writeText(w)
}

func severity(x Finding) string {
	if x.Smell {
		return "warning"
	}
	return "error"
}

func (f *Findings) writeText(w io.Writer) error {
	lines := strings.Split(string(f.Source), "\n")
	for _, x := range f.told() {
		mark := ""
		if x.Smell {
			mark = "warning: "
		}
		if _, err := fmt.Fprintf(w, "%s:%d:%d: %s%s\n",
			f.File, x.Line, x.Column, mark, x.Msg); err != nil {
			return err
		}
		if x.Line < 1 || x.Line > len(lines) {
			continue
		}
		line := strings.TrimSuffix(lines[x.Line-1], "\r")
		if _, err := fmt.Fprintf(w, "    %s\n    %s^\n", line, indent(line, x.Column)); err != nil {
			return err
		}
	}
	return nil
}

// told are the findings for people: smells that differ in nothing but names are one, at the first
// place, with the lines of the others.
func (f *Findings) told() []Finding {
	var out []Finding
	alike := f.alike()
	for _, x := range f.List {
		if x.Smell {
			others, first := alike[unquoted(x.Msg)]
			if !first {
				continue
			}
			delete(alike, unquoted(x.Msg))
			x.Msg += others.String()
		}
		out = append(out, x)
	}
	return out
}

// ToldSmells are the smells as a log tells them: those that differ in nothing but names are one, at
// the first place, with the lines of the others.
func (f *Findings) ToldSmells() []Finding {
	return slices.DeleteFunc(f.told(), func(x Finding) bool { return !x.Smell })
}

// likeness has the lines of smells that differ in nothing but the names that they quote.
type likeness []int

// alike are the lines of the smells, by their message without names.
func (f *Findings) alike() map[string]likeness {
	lines := map[string]likeness{}
	for _, x := range f.List {
		if x.Smell {
			lines[unquoted(x.Msg)] = append(lines[unquoted(x.Msg)], x.Line)
		}
	}
	return lines
}

// String names the lines beside the first one, at most ten of them.
func (l likeness) String() string {
	if len(l) < 2 {
		return ""
	}
	var b strings.Builder
	lines := "lines"
	if len(l) == 2 {
		lines = "line"
	}
	fmt.Fprintf(&b, " (%d more like this, in %s", len(l)-1, lines)
	for i, line := range l[1:] {
		if i == 10 {
			b.WriteString(" …")
			break
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %d", line)
	}
	return b.String() + ")"
}

// unquoted is a message without the texts in quotes.
func unquoted(msg string) string {
	var b strings.Builder
	for i, part := range strings.Split(msg, `"`) {
		if i%2 == 0 {
			b.WriteString(part)
		}
	}
	return b.String()
}

// indent is blank space as wide as the text before the column.
func indent(line string, column int) string {
	var b strings.Builder
	for i, r := range []rune(line) {
		if i >= column-1 {
			break
		}
		if r == '\t' {
			b.WriteByte('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func (f *Findings) writeJSON(w io.Writer) error {
	type object struct {
		File     string `json:"file"`
		Line     int    `json:"line"`
		Column   int    `json:"column"`
		Severity string `json:"severity"`
		Message  string `json:"message"`
	}
	list := make([]object, len(f.List))
	for i, x := range f.List {
		list[i] = object{f.File, x.Line, x.Column, severity(x), x.Msg}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(list)
}

// writeGitHub escapes values as workflow commands require.
func (f *Findings) writeGitHub(w io.Writer) error {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	for _, x := range f.List {
		_, err := fmt.Fprintf(w, "::%s file=%s,line=%d,col=%d::%s\n",
			severity(x), property.Replace(f.File), x.Line, x.Column, data.Replace(x.Msg))
		if err != nil {
			return err
		}
	}
	return nil
}
