package yamldoc

import "strings"

// syntaxFault says in words where the parser's message, about a place in source, names a symptom.
// The message itself stands where there are no better words.
func syntaxFault(message string, at Place, source []byte) string {
	const oneColumn = "the fields of one mapping begin in the same column"
	line := lineOf(source, at.Line)
	indented := strings.TrimSpace(line) != "" &&
		at.Column == len(line)-len(strings.TrimLeft(line, " "))+1
	hasColon := strings.Contains(line[min(at.Column, len(line)):], ": ")
	has := func(part string) bool { return strings.Contains(message, part) }
	switch {
	case strings.HasPrefix(strings.TrimLeft(line, " "), "\t"), has("tab character"):
		return "a tab: YAML is indented with spaces"
	case has("end character of"):
		return "the quote that begins here is not closed"
	case has("',' or ']'"), has("sequence end token"):
		return "a list before this place is not closed with ], or a comma is missing"
	case has("',' or '}'"), has("flow mapping end token"):
		return "a mapping before this place is not closed with }, or a comma is missing"
	case has("character corresponding to"):
		return "nothing is open here that this bracket could close"
	case has("reserved character"):
		first, _, _ := strings.Cut(message, " ")
		return "a text that begins with " + first + " has to be in quotes"
	case has("unexpected key name") && strings.Contains(line, ":"):
		return "a space is missing behind the colon"
	case has("mapping value is not allowed") && !hasColon:
		return "check the indentation of the next line: " + oneColumn
	case has("mapping value is not allowed"):
		return `a text with ": " in it has to be in quotes`
	case has("not allowed in this context") && indented:
		return "check the indentation: " + oneColumn
	case has("not allowed in this context"):
		return "a text that begins with { or [ has to be in quotes"
	}
	return "no YAML: " + message
}

// lineOf returns a line of source, without its end; "" beyond the last one.
func lineOf(source []byte, nth int) string {
	lines := strings.Split(string(source), "\n")
	if nth < 1 || nth > len(lines) {
		return ""
	}
	return strings.TrimSuffix(lines[nth-1], "\r")
}
