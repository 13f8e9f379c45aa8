package yamldoc

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Bounds of the passes over a document that is no YAML: each finds one fault of its syntax.
const (
	maxPasses = 10
	maxParsed = 2 << 20 // bytes of all passes
)

// document parses the content. Where its syntax is at fault, the list element around the fault is
// left out, so that the faults of the others are found in the same run.
func (r *Reader) document() ast.Node {
	source := r.findings.Source
	if at, why := encodingFault(source); why != "" {
		r.Fault(at, "%s", why)
		return nil
	}
	if why, line := beyond(source); why != "" {
		r.Fault(Place{line, 1}, "%s: that is no policies file", why)
		return nil
	}
	d := draft{lines: strings.Split(string(source), "\n"), left: map[int]bool{}}
	for pass := range maxPasses {
		file, err := parse([]byte(strings.Join(d.lines, "\n")))
		if err == nil {
			r.left = d.left
			if d.unread {
				return nil
			}
			return r.only(file)
		}
		f := faultOf(err, d.lines)
		r.Fault(f, "%s", f.msg)
		if (pass+2)*len(source) > maxParsed || !d.mend(f) {
			return nil
		}
	}
	return nil
}

// parse turns a panic of the parser into an error.
func parse(content []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("it cannot be parsed: %v", p)
		}
	}()
	return parser.ParseBytes(content, 0, parser.AllowDuplicateMapKey()) // Pairs reports duplicates
}

func faultOf(err error, lines []string) syntaxFault {
	syntax, ok := errors.AsType[*yaml.SyntaxError](err)
	if !ok {
		return syntaxFault{Place: Place{1, 1}, msg: "no YAML: " + err.Error(), stop: true}
	}
	at := Place{1, 1}
	if syntax.Token != nil {
		at = Place{syntax.Token.Position.Line, syntax.Token.Position.Column}
	}
	return diagnose(syntax.Message, at, lines)
}

// only is the one document of a file; nil after a fault.
func (r *Reader) only(file *ast.File) ast.Node {
	var docs []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil && d.Body.Type() != ast.CommentGroupType &&
			d.Body.Type() != ast.DirectiveType {
			docs = append(docs, d.Body)
		}
	}
	switch len(docs) {
	case 0:
		r.Fault(Place{1, 1}, "the file is empty: it begins with version: 1")
		return nil
	case 1:
		return docs[0]
	}
	r.Fault(Node{docs[1]}, "the file has more than one document: keep one")
	return nil
}

// A draft is a document in which lines that are no YAML are mended or left out. Its lines keep
// their numbers.
type draft struct {
	lines  []string
	left   map[int]bool // lines that were left out, from 1
	unread bool         // more than a list element was: nothing but syntax can be told
}

// mend makes a draft without the fault; false if it cannot.
func (d *draft) mend(f syntaxFault) bool {
	switch {
	case f.stop || f.Line > len(d.lines):
		return false
	case f.repair != "":
		d.lines[f.Line-1] = f.repair
		return true
	case f.marks:
		for i, line := range d.lines {
			if strings.HasPrefix(line, "<<<<<<<") || strings.HasPrefix(line, ">>>>>>>") ||
				strings.TrimSpace(line) == "=======" {
				d.lines[i] = ""
			}
		}
		return true
	}
	line := f.Line
	for f.before && line > 1 && (line == f.Line || isEmptyLine(d.lines[line-1])) {
		line--
	}
	first, end, element := d.around(line)
	d.unread = d.unread || !element
	if first == 0 {
		return false
	}
	for n := first; n < end; n++ {
		d.lines[n-1], d.left[n] = "", true
	}
	return true
}

// around are the lines from first to before end of the list element with line n, or, if there is
// none, of the field of the document. first is 0 if there is no field.
func (d *draft) around(n int) (first, end int, element bool) {
	field := n
	for field > 0 && !d.beginsField(field) {
		field--
	}
	dash := -1 // column of the elements of the field's list
	for m := field + 1; m <= n; m++ {
		if indent, ok := d.element(m); ok && (dash < 0 || indent == dash) {
			dash, first = indent, m
		}
	}
	end = n + 1
	for end <= len(d.lines) && !d.beginsField(end) {
		if indent, ok := d.element(end); ok && dash >= 0 && indent <= dash {
			break
		}
		end++
	}
	if first > 0 {
		return first, end, true
	}
	return field, end, false
}

// beginsField reports whether line n begins a field of the document.
func (d *draft) beginsField(n int) bool {
	line := d.lines[n-1]
	return line != "" && !strings.ContainsAny(line[:1], " \t\r#-}]")
}

// element is the column of the dash, from 0, of a line that begins a list element.
func (d *draft) element(n int) (indent int, ok bool) {
	text := strings.TrimLeft(d.lines[n-1], " ")
	return len(d.lines[n-1]) - len(text), strings.HasPrefix(text, "-") &&
		!strings.HasPrefix(text, "---")
}
