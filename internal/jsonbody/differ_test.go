package jsonbody

import (
	"strings"
	"testing"
)

func TestDifferencesAreNamedByTheirPlace(t *testing.T) {
	for _, c := range []struct{ a, b, ignored, want string }{
		{`{"a":1,"b":2}`, `{"b":2.0,"a":10e-1}`, "", ""},
		{`{"a":1}`, `{"a":2}`, "", "a"},
		{`{"a":"1"}`, `{"a":1}`, "", "a"},
		{`{"a":{"b":1,"c":2}}`, `{"a":{"b":2,"c":3}}`, "", "a.b a.c"},
		{`{"a":{"b":1}}`, `{"a":[1]}`, "", "a"},
		{`{"a":1}`, `{"a":1,"b":null}`, "", "b"},
		{`{"a":1,"b":null}`, `{"a":1}`, "", "b"},
		{`[{"x":1},{"x":2}]`, `[{"x":3},{"x":4}]`, "", "#.x"},
		{`{"l":[1,2]}`, `{"l":[1,2,3]}`, "", "l"},
		{`{"l":[1,2]}`, `{"l":[2,1]}`, "", "l.#"},
		{`1`, `2`, "", "(whole)"},
		{`null`, `{}`, "", "(whole)"},
		{`{"a.b":1,"#":1,"*":1}`, `{"a.b":2,"#":2,"*":2}`, "", `\# \* a\.b`},
		{`{"` + strings.Repeat("n", 65) + `":1}`, `{}`, "", "*"},
		{`{"":1}`, `{"":2}`, "", "*"},
		{`{"of":{"a@b.example":{"x":1}}}`, `{"of":{"a@b.example":{"x":2}}}`, "", "of.*.x"},
		{`{"3f2a91c7":1,"7b10c2d4":1}`, `{}`, "", "*"},
		{`{"@id":1,"line2":1,"y2026":1}`, `{}`, "", "@id line2 y2026"},
		{`9007199254740993`, `9007199254740992`, "", "(whole)"},

		{`{"id":1,"a":{"id":1}}`, `{"id":2,"a":{"id":2}}`, "id", "a.id"},
		{`{"a":{"id":1,"b":{"c":1}}}`, `{"a":{"id":2,"b":{"c":2}}}`, "a", ""},
		{`{"l":[{"t":1,"x":1}]}`, `{"l":[{"t":2,"x":1}]}`, "l.#.t", ""},
		{`{"l":[{"t":1},{"t":1}]}`, `{"l":[{"t":2},{"t":2}]}`, "l.1.t", "l.#.t"},
		{`{"l":[1]}`, `{"l":[1,2]}`, "l.#", "l"},
		{`{"a":{"t":1},"b":{"t":1}}`, `{"a":{"t":2},"b":{"t":2}}`, "*.t", ""},
		{`{"#":1,"x":1}`, `{"#":2,"x":2}`, `\#`, "x"},
		{`{"a.b":1}`, `{"a.b":2}`, `a\.b`, ""},
		{`{"a":1}`, `{}`, "a", ""},
		{`{}`, `{"a":1}`, "a", ""},
	} {
		var ignored []Pattern
		for text := range strings.FieldsSeq(c.ignored) {
			p, err := ParsePattern(text)
			if err != nil {
				t.Fatal(err)
			}
			ignored = append(ignored, p)
		}
		paths, ok := Differences([]byte(c.a), []byte(c.b), ignored, 10)
		for i, p := range paths {
			if p == "" {
				paths[i] = "(whole)"
			}
		}
		if got := strings.Join(paths, " "); !ok || got != c.want {
			t.Errorf("%s and %s but for %q: %q, want %q", c.a, c.b, c.ignored, got, c.want)
		}
	}
}

func TestDifferencesAreBoundedAndOfJSONAlone(t *testing.T) {
	paths, ok := Differences([]byte(`{"a":1,"b":1,"c":1}`), []byte(`{}`), nil, 2)
	if !ok || len(paths) != 2 {
		t.Errorf("%q", paths)
	}
	for _, text := range []string{"", "{", "<html>", `{} {}`, `{"a":01}`} {
		if _, ok := Differences([]byte(`{}`), []byte(text), nil, 2); ok {
			t.Errorf("%q is taken for JSON", text)
		}
	}
}

func TestAPatternHasNoEmptyPart(t *testing.T) {
	for _, text := range []string{"", ".", "a.", ".a", "a..b", `a\`} {
		if p, err := ParsePattern(text); err == nil {
			t.Errorf("%q is %v", text, p)
		}
	}
}

// A reported place is a pattern that selects it.
func FuzzDifferences(f *testing.F) {
	f.Add(`{"a":[1,{"b.c":2}]}`, `{"a":[1,{"b.c":3}]}`)
	f.Add(`{"*":1,"#":[],"\\":0}`, `{"*":2,"#":[1],"\\":1}`)
	f.Fuzz(func(t *testing.T, a, b string) {
		paths, ok := Differences([]byte(a), []byte(b), nil, 1000)
		if !ok {
			return
		}
		var ignored []Pattern
		for _, text := range paths {
			if text == "" {
				return
			}
			p, err := ParsePattern(text)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			ignored = append(ignored, p)
		}
		if left, _ := Differences([]byte(a), []byte(b), ignored, 1000); len(left) > 0 &&
			len(paths) < 1000 {
			t.Errorf("%q and %q differ at %q; but for these, at %q", a, b, paths, left)
		}
		if same, _ := Differences([]byte(a), []byte(a), nil, 1); len(same) > 0 {
			t.Errorf("%q differs from itself at %q", a, same)
		}
	})
}
