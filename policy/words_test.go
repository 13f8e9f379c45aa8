package policy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sidecar/policy/yamldoc"
)

// Mistakes that people make, with the fault that they are told: its place, and words about the
// cause instead of the parser's symptom.
func TestCommonMistakesAreToldInPlainWords(t *testing.T) {
	const (
		head  = "version: 1\nroutes:\n"
		route = "  - match: GET /a\n"
	)
	for _, tt := range []struct{ name, content, want string }{
		{"a field indented less than its neighbours", head + route + "   cache: {scope: shared}\n",
			"4:4: check the indentation: the fields of one mapping begin in the same column"},
		{"a field indented more", head + route + "      cache: {scope: shared}\n",
			"3:12: check the indentation of the next line: the fields of one mapping begin in the same" +
				" column"},
		{"a field as far out as its route", head + route + "  cache: {scope: shared}\n",
			"4:3: check the indentation: the fields of one mapping begin in the same column"},
		{"a tab", head + "\t- match: GET /a\n", "3:1: a tab: YAML is indented with spaces"},
		{"a tab behind spaces", head + route + "  \tcache: {scope: shared}\n",
			"4:3: a tab: YAML is indented with spaces"},
		{"no space behind a colon", "version:1\nroutes: []\n",
			"1:1: a space is missing behind the colon"},
		{"an open brace", head + "  - {match: GET /a\n  - {match: GET /b}\n",
			"4:3: a mapping before this place is not closed with }, or a comma is missing"},
		{"no comma", head + "  - {match: \"GET /a\" cache: {scope: shared}}\n",
			"3:22: a mapping before this place is not closed with }, or a comma is missing"},
		{"an open bracket", head + route + "    cache: {scope: shared, tags: [a, b}\n",
			"4:39: a list before this place is not closed with ], or a comma is missing"},
		{"an open quote", head + "  - match: 'GET /a\n",
			"3:12: the quote that begins here is not closed"},
		{"a reserved character", head + "  - match: @a\n",
			"3:12: a text that begins with '@' has to be in quotes"},
		{"a colon in a text", head + "  - match: GET /a: b\n",
			`3:12: a text with ": " in it has to be in quotes`},
		{"a text that begins with a brace", head + route + "    invalidate: {id}:b\n",
			"4:21: a text that begins with { or [ has to be in quotes"},
		{"a template without quotes", head + route + "    cache: {scope: shared, tags: [a:{id}]}\n",
			"4:35: an element of tags is a text: put it in quotes, since it has a brace or a colon"},
		{"a colon within braces", "version: 1\ncaller: {credentials: [header:Authorization]}\n",
			"2:24: an element of credentials is a text: put it in quotes, since it has a brace or a" +
				" colon"},
		{"a method in small letters", head + "  - {match: get /a, cache: {scope: shared}}\n",
			`3:13: "get /a" is no pattern: methods are written in capitals: GET /a`},
		{"a wildcard of another framework", head + "  - {match: \"GET /:id\", deny: true}\n",
			`3:13: "GET /:id" is no pattern: ":id" would match itself alone: a wildcard is like {id}`},
		{"a number for a time", head + route + "    cache: {scope: shared, ttl: 5}\n",
			"4:33: ttl is a time like 90s, 5m or 24h"},
		{"a mapping for a list", head + "  match: GET /a\n", "3:3: routes is a list, like [a, b]"},
		{"no version", "routes: []\n", "1:1: version is missing: the file begins with version: 1"},
		{"a queue that no worker serves",
			head + "  - {match: POST /a, job: {mode: always, queue: slow}}\n",
			`3:49: no worker serves the queue "slow": JOBS_QUEUES has critical, default, low`},
		{"patterns that meet",
			head + "  - {match: \"GET /a/{id}\", deny: true}\n" +
				"  - {match: \"GET /{x}/b\", deny: true}\n",
			`4:13: "GET /{x}/b" and "GET /a/{id}" (the route in line 3) match the same requests, and` +
				` neither is more specific: a literal in the place of {x} in "GET /{x}/b" parts them,` +
				` like "a"`},
		{"the same pattern twice",
			head + "  - {match: \"GET /{a}\", deny: true}\n  - {match: \"GET /{b}\", deny: true}\n",
			`4:13: "GET /{b}" and "GET /{a}" (the route in line 3) match the same requests, and` +
				` neither is more specific: make one route of them`},
		{"a name like one made from a pattern", head + "  - {match: GET /a, deny: true}\n" +
			"  - {name: get_a, match: GET /b, deny: true}\n",
			`4:5: the route in line 3 has the name "get_a", made from its pattern, already: give this` +
				` one another name`},
		{"a name made from a pattern like one that is given",
			head + "  - {name: get_a, match: GET /b, deny: true}\n" +
				"  - {match: GET /a, deny: true}\n",
			`4:5: the name "get_a", which is made from this route's pattern, is taken by the route in` +
				` line 3: give this one a name`},
		{"nobody_writes on a write", head +
			"  - {match: POST /a, invalidate: [a], nobody_writes: true}\n",
			"3:54: nobody_writes is about answers: it belongs to a route with cache"},
		{"nobody_writes is true or false", head +
			"  - {match: GET /a, nobody_writes: sure, cache: {scope: shared}}\n",
			"3:36: nobody_writes is true or false"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := findings(t, "f", tt.content).Error()
			if first, _, _ := strings.Cut(got, "\n"); first != "f:"+tt.want {
				t.Errorf("got  %s\nwant f:%s", got, tt.want)
			}
		})
	}
}

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
