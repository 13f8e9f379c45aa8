package yamldoc

import (
	"regexp"
	"strings"
	"unicode"
)

// A syntaxFault is why a document is no YAML, in words about the cause.
type syntaxFault struct {
	Place
	msg string
	// repair is the line as it was meant, with the same columns; "": the list element around the
	// place is left out, to find the faults behind it.
	repair string
	// before: the element to leave out is that of the line before.
	before bool
	// marks: the lines to leave out are the marks of a merge.
	marks bool
	// stop: nothing behind the place can be read.
	stop bool
}

const (
	oneColumn = "check the indentation: the fields of one mapping begin in the same column"
	noFilling = "is not filled in here: write the value itself, or fill it in before (envsubst)"
)

// A diagnosis finds the cause of a parser's message about a place.
type diagnosis struct {
	message string
	at      Place
	lines   []string
	line    string // at the place
	value   string // of its field or list element; "" for none
}

// diagnose says in words where the parser's message, about a place, names a symptom. The
// message itself stands where there are no better words.
func diagnose(message string, at Place, lines []string) syntaxFault {
	d := diagnosis{message: message, at: at, lines: lines}
	d.line = d.nth(at.Line)
	d.value = valueOf(d.line)
	for _, cause := range []func() (syntaxFault, bool){
		d.foreign, d.blank, d.quoting, d.naming, d.brackets, d.indentation,
	} {
		if f, ok := cause(); ok {
			return f
		}
	}
	return d.here("no YAML: " + message)
}

// nth is a line from 1, without its end; "" beyond the last one.
func (d *diagnosis) nth(n int) string {
	if n < 1 || n > len(d.lines) {
		return ""
	}
	return strings.TrimSuffix(d.lines[n-1], "\r")
}

func (d *diagnosis) has(part string) bool { return strings.Contains(d.message, part) }

func (d *diagnosis) here(msg string) syntaxFault { return syntaxFault{Place: d.at, msg: msg} }

// byteOf is a fault at a byte of a line.
func (d *diagnosis) byteOf(line, offset int, msg string) syntaxFault {
	column := len([]rune(d.nth(line)[:offset])) + 1
	return syntaxFault{Place: Place{line, column}, msg: msg}
}

// foreign are texts of other kinds in the place of YAML.
func (d *diagnosis) foreign() (syntaxFault, bool) {
	for i, line := range d.lines {
		if strings.HasPrefix(line, "<<<<<<< ") || strings.HasPrefix(line, ">>>>>>> ") {
			f := d.byteOf(i+1, 0, "a conflict of a merge is left in the file: decide it, and take "+
				"its marks out")
			f.marks = true
			return f, true
		}
	}
	if i := strings.Index(d.line, "{{"); i >= 0 {
		f := d.byteOf(d.at.Line, i, "a template, {{ … }}, is left in the file: render it first, "+
			"as helm template does")
		f.stop = true
		return f, true
	}
	if i := strings.Index(d.line, "${"); i >= 0 {
		return d.byteOf(d.at.Line, i, "${…} "+noFilling), true
	}
	text := strings.TrimSpace(d.line)
	offset := strings.Index(d.line, text)
	switch {
	case d.at.Line == 1 && strings.HasPrefix(text, "<"):
		f := d.here("the file is HTML or XML: a policies file begins with version: 1")
		f.stop = true
		return f, true
	case strings.HasPrefix(text, "//"), strings.HasPrefix(text, "/*"):
		f := d.byteOf(d.at.Line, offset, "a comment begins with #")
		f.repair = "#"
		return f, true
	case assignment.MatchString(d.line):
		return d.byteOf(d.at.Line, offset, "a field is written with a colon: name: value"), true
	}
	return syntaxFault{}, false
}

// assignment is a field as TOML has it.
var assignment = regexp.MustCompile(`^\s*(- )?[A-Za-z_]+\s*=`)

// blank are other characters in the place of the blanks of an indentation.
func (d *diagnosis) blank() (syntaxFault, bool) {
	for i, c := range d.line {
		switch {
		case c == '\t':
			return d.byteOf(d.at.Line, i, "a tab: YAML is indented with spaces"), true
		case c != ' ' && unicode.IsSpace(c):
			return d.byteOf(d.at.Line, i, oddBlank), true
		case c == ' ':
			continue
		}
		break
	}
	return d.here("a tab: YAML is indented with spaces"), d.has("tab character")
}

const oddBlank = "a blank that is no plain space, like one from a web page: " +
	"YAML is indented with spaces"

// quoting are texts that need quotes, or have them in the wrong place.
func (d *diagnosis) quoting() (syntaxFault, bool) {
	offset := strings.LastIndex(d.line, d.value)
	begins := func(chars string) bool {
		return d.value != "" && strings.ContainsAny(d.value[:1], chars)
	}
	switch {
	case d.has("end character of"):
		return d.here("the quote that begins here is not closed"), true
	case d.has("unknown escape character"):
		return d.here(`in double quotes \ begins an escape, and this is none: write \\, or take ` +
			"single quotes"), true
	case d.has("reserved character"):
		first, _, _ := strings.Cut(d.message, " ")
		return d.here("a text that begins with " + first + " has to be in quotes"), true
	case begins("*&|>") && !d.has("mapping value"):
		return d.byteOf(d.at.Line, offset,
			"a text that begins with "+d.value[:1]+" has to be in quotes"), true
	case begins(`"'`) && d.has("not allowed in this context"):
		return d.here("the text goes on behind its closing quote: put all of it in quotes"), true
	}
	return syntaxFault{}, false
}

// bareName is a line with a name and no colon behind it, maybe with a value.
var bareName = regexp.MustCompile(`^(\s*(?:- )?)([a-z_]+)(?:\s.*)?$`)

// naming are names of fields without the colon, or the blank, behind them.
func (d *diagnosis) naming() (syntaxFault, bool) {
	dash := strings.TrimLeft(d.line, " ")
	switch {
	case len(dash) > 1 && dash[0] == '-' && dash[1] != ' ' && dash[1] != '-':
		return d.byteOf(d.at.Line, len(d.line)-len(dash),
			`a space is missing behind the dash: an element of a list begins with "- "`), true
	case strings.HasPrefix(dash, "•"), strings.HasPrefix(dash, "–"), strings.HasPrefix(dash, "—"):
		return d.byteOf(d.at.Line, len(d.line)-len(dash),
			`an element of a list begins with "- ", a plain hyphen`), true
	case !d.has("unexpected key name") && !d.has("non-map value") && !d.has("pre-defined"):
		return syntaxFault{}, false
	}
	for _, n := range []int{d.at.Line, d.before(d.at.Line)} {
		m := bareName.FindStringSubmatch(d.nth(n))
		if m == nil || strings.Contains(d.nth(n), ": ") {
			continue
		}
		f := d.byteOf(n, len(m[1]), "a colon is missing behind "+m[2])
		if strings.TrimSpace(d.nth(n)) == m[2] {
			f.repair = strings.TrimRight(d.nth(n), " ") + ":"
		}
		return f, true
	}
	if d.has("unexpected key name") && strings.Contains(d.line, ":") {
		return d.here("a space is missing behind the colon"), true
	}
	return syntaxFault{}, false
}

// brackets are lists and mappings in brackets that do not end where they should.
func (d *diagnosis) brackets() (syntaxFault, bool) {
	behind := behind(d.line, d.at)
	switch {
	case d.has("must be specified") && d.at.Column > 1 &&
		strings.HasSuffix(strings.TrimSuffix(d.line, behind), "'"):
		return d.here("the text ends with the quote before this place: an apostrophe in single " +
			"quotes is written twice"), true
	case d.has("must be specified") && strings.HasPrefix(behind, "{"):
		return d.here("a text with { in it has to be in quotes within brackets"), true
	case d.has("',' or ']'"), d.has("',' or '}'"):
		what, end := "list", "]"
		if d.has("'}'") {
			what, end = "mapping", "}"
		}
		f := d.here("a " + what + " before this place is not closed with " + end + ", or " +
			d.tooMuch(behind))
		f.before = d.indents()
		return f, true
	case d.has("sequence end token"):
		return d.here("the list that begins here is not closed with ]"), true
	case d.has("flow mapping end token"):
		return d.here("the mapping that begins here is not closed with }"), true
	case d.has("character corresponding to"):
		return d.here("nothing is open here that this bracket could close"), true
	case d.has("not allowed in this context") && behind != "" &&
		behind[0] == d.line[len(d.line)-1] &&
		strings.ContainsAny(behind[:1], ",;]}"):
		return d.here("a value in brackets ends with its bracket: take " + behind[:1] + " out"),
			true
	}
	return syntaxFault{}, false
}

// tooMuch is the other cause of a bracket that is not closed, before the rest of a line.
func (d *diagnosis) tooMuch(behind string) string {
	if behind != "" && strings.ContainsAny(behind[:1], "]}") {
		return "this " + behind[:1] + " closes nothing"
	}
	return "a comma is missing"
}

// indentation are fields in the wrong column, and several of them in one line.
func (d *diagnosis) indentation() (syntaxFault, bool) {
	indented := d.indents()
	hasColon := strings.Contains(d.line[min(d.at.Column, len(d.line)):], ": ")
	switch {
	case d.has("mapping value is not allowed") && !hasColon:
		next := d.after(d.at.Line)
		line := d.nth(next)
		return d.byteOf(next, len(line)-len(strings.TrimLeft(line, " ")), oneColumn), true
	case d.has("mapping value is not allowed"):
		return d.here(
			`a text with ": " in it has to be in quotes, and several fields of one line ` +
				"in braces, like {a: b, c: d}"), true
	case d.has("sequence entries are not allowed"):
		return d.here("a list begins in a line of its own, or is written like [a, b]"), true
	case d.has("not allowed in this context") && indented, d.has("non-map value") && indented:
		return d.here(oneColumn), true
	case d.has("not allowed in this context"):
		return d.here("a text that begins with { or [ has to be in quotes"), true
	case d.has("invalid key"):
		return d.here("the name of a field is a word: put a text with other characters in quotes"),
			true
	}
	return syntaxFault{}, false
}

// indents reports whether the place is where its line begins.
func (d *diagnosis) indents() bool {
	return strings.TrimSpace(d.line) != "" &&
		d.at.Column == len(d.line)-len(strings.TrimLeft(d.line, " "))+1
}

// before and after are the nearest lines with content; 0 and the same line if there are none.
func (d *diagnosis) before(n int) int {
	for n--; n > 0 && isEmptyLine(d.nth(n)); n-- {
	}
	return n
}

func (d *diagnosis) after(n int) int {
	for next := n + 1; next <= len(d.lines); next++ {
		if !isEmptyLine(d.nth(next)) {
			return next
		}
	}
	return n
}

func isEmptyLine(line string) bool {
	text := strings.TrimSpace(line)
	return text == "" || text[0] == '#'
}

// valueOf is the value in a line of block style: behind its first ": ", or behind "- ".
func valueOf(line string) string {
	if _, value, ok := strings.Cut(line, ": "); ok {
		return strings.TrimSpace(value)
	}
	text, _ := strings.CutPrefix(strings.TrimSpace(line), "- ")
	return strings.TrimSpace(text)
}
