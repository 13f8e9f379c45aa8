package yamldoc

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestADocumentBeyondTheBoundsIsAFaultBeforeItIsParsed(t *testing.T) {
	deep := func(n int, open string) string { return "a:\n" + strings.Repeat(open, n) }
	indented := func(n int) string {
		var b strings.Builder
		for i := range n {
			b.WriteString(strings.Repeat(" ", i) + "a:\n")
		}
		return b.String()
	}
	for _, c := range []struct{ what, content, want string }{
		{"brackets", deep(40_000, "["), "nested"},
		{"braces", deep(40_000, "{a: "), "nested"},
		{"dashes", deep(40_000, "- "), "nested"},
		{"question marks", deep(40_000, "? "), "nested"},
		{"dashes alone", strings.Repeat("- ", 40_000), "nested"},
		{"question marks alone", strings.Repeat("? ", 40_000), "nested"},
		{"colons of one line", deep(40_000, "a: "), "nested"},
		{"indentation", indented(1000), "nested"},
		{"keys", strings.Repeat("a: 1\n", maxKeys+1), "keys"},
		{"keys of a list item", "- a: 1\n" + strings.Repeat("  b: 1\n", maxKeys+1), "keys"},
		{"brackets behind a quote", "a: don't\nb: " + strings.Repeat("[", 1000), "nested"},
		{"brackets behind a comment", "# it's\n" + strings.Repeat("[", 1000), "nested"},
		{"values", "a: [" + strings.Repeat("b,", maxNodes+1) + "]", "values"},
		{"lines", strings.Repeat("\n", maxNodes+1), "values"},
		{"aliases", "a: &x [1]\nb: [" + strings.Repeat("*x, ", maxAliases+1) + "]", "aliases"},
		{"aliases in lines", "a: &x [1]\nb:\n" + strings.Repeat("  - *x\n", maxAliases+1),
			"aliases"},
		{"length", strings.Repeat("#", MaxSize+1), "longer"},
	} {
		r := NewReader("f", []byte(c.content))
		root := r.Root()
		list := r.Findings().List
		if !root.Absent() || len(list) != 1 || !strings.Contains(list[0].Msg, c.want) {
			t.Errorf("%s: %v", c.what, list)
		}
	}
}

func TestAnOrdinaryDocumentIsWithinTheBounds(t *testing.T) {
	example, err := os.ReadFile("../../policies.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for what, content := range map[string]string{
		"the example": string(example),
		"brackets in texts": "a:\n" + strings.Repeat("  - \"{x\"\n", 500) +
			strings.Repeat("  - '[x'\n", 500) + strings.Repeat("  # [x\n", 500),
		"stars in texts":        "a: [" + strings.Repeat("csrf*, \"*\", ", 500) + "]",
		"many lines of a level": "a:\n" + strings.Repeat("  - b: {c: [d]}\n    e: f\n", 5000),
		"a long list in a flow": "a: [\n" + strings.Repeat("    b,\n  c,\n", 500) + "]\n",
	} {
		if why, line := beyond([]byte(content)); why != "" {
			t.Errorf("%s: line %d: %s", what, line, why)
		}
	}
}

// An alias of a list with aliases is read each time, so the values that are read are counted too.
func TestWhatIsReadBehindAliasesIsBounded(t *testing.T) {
	content := "a: &a [" + strings.Repeat("x,", 30_000) + "]\nb: [" +
		strings.Repeat("*a, ", 90) + "]\n"
	r := NewReader("f", []byte(content))
	read := 0
	r.Mapping(r.Root(), "it", Field{"a", func(Node) {}}, Field{"b", func(n Node) {
		for _, list := range r.List(n, "b") {
			read += len(r.List(list, "a list"))
		}
	}})
	if f := r.Findings(); !f.Faulty() || len(f.List) != 1 || read > maxReads {
		t.Errorf("%d values were read: %v", read, f.List)
	}
}

func TestOnlyTheFirstFaultsAreTold(t *testing.T) {
	var b strings.Builder
	for i := range maxKeys {
		fmt.Fprintf(&b, "field%d: 1\n", i)
	}
	r := NewReader("f", []byte(b.String()))
	r.Mapping(r.Root(), "it")
	list := r.Findings().List
	if len(list) != maxFindings+1 || !strings.Contains(list[maxFindings].Msg, "more") &&
		!strings.Contains(list[maxFindings-1].Msg, "more") {
		t.Errorf("%d findings, the last is %v", len(list), list[len(list)-1])
	}
}

// Smells are no faults, however many they are, and a fault behind them is found.
func TestManySmellsAreNoFault(t *testing.T) {
	r := NewReader("f", []byte("a: ["+strings.Repeat("x, ", 2*maxFindings)+"x]\nb: 1\n"))
	r.Mapping(r.Root(), "it", Field{"a", func(n Node) {
		for _, v := range r.List(n, "a") {
			r.Smell(v, "it smells")
		}
	}})
	list := r.Findings().List
	last := list[len(list)-1]
	if len(list) != maxFindings+2 || last.Smell || last.Line != 2 || !list[maxFindings].Smell {
		t.Errorf("%d findings, the last is %+v", len(list), last)
	}
}

// FuzzReader: any content is a document within the bounds, or a fault with a place.
func FuzzReader(f *testing.F) {
	for _, s := range []string{
		"a: [b, {c: d}]", "- - - x", "&a [*a]", "'", "\"\\", "#", "? a\n: b",
		"|\n  [", "a: !!str 5",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		r := NewReader("f", content)
		if root := r.Root(); root.Absent() && !r.Findings().Faulty() && r.reads > 0 {
			t.Error("nothing was read, and no fault")
		}
		for _, x := range r.Findings().List {
			if x.Line < 1 || x.Column < 1 {
				t.Errorf("%+v has no place", x)
			}
		}
	})
}
