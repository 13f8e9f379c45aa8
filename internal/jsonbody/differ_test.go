package jsonbody

import (
	"encoding/json"
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
		{`{"a":1,"c":""}`, `{"a":1,"b":null,"c":""}`, "", "b"},
		{`{"a":1,"b":null,"c":""}`, `{"a":1,"c":""}`, "", "b"},
		{`[{"x":1},{"x":2}]`, `[{"x":3},{"x":4}]`, "", "#.x"},
		{`{"l":[1,2]}`, `{"l":[1,2,3]}`, "", "l"},
		{`{"l":[1,2]}`, `{"l":[2,1]}`, "", "l.#"},
		{`1`, `2`, "", "(whole)"},
		{`null`, `{}`, "", "(whole)"},
		{`{"a.b":1,"c":""}`, `{"a.b":2,"c":""}`, "", `a\.b`},
		{`{"":1}`, `{"":2}`, "", "*"},
		{`9007199254740993`, `9007199254740992`, "", "(whole)"},

		{`{"id":1,"a":{"id":1}}`, `{"id":2,"a":{"id":2}}`, "id", "a.id"},
		{`{"a":{"id":1,"b":{"c":1}}}`, `{"a":{"id":2,"b":{"c":2}}}`, "a", ""},
		{`{"l":[{"t":1,"x":1}]}`, `{"l":[{"t":2,"x":1}]}`, "l.#.t", ""},
		{`{"l":[{"t":1},{"t":1}]}`, `{"l":[{"t":2},{"t":2}]}`, "l.1.t", "l.#.t"},
		{`{"l":[1]}`, `{"l":[1,2]}`, "l.#", "l"},
		{`{"a":{"t":1},"b":{"t":1}}`, `{"a":{"t":2},"b":{"t":2}}`, "*.t", ""},
		{`{"#":1,"x":""}`, `{"#":2,"x":"a"}`, `\#`, "x"},
		{`{"a.b":1}`, `{"a.b":2}`, `a\.b`, ""},
		{`{"a":1}`, `{}`, "a", ""},
		{`{}`, `{"a":1}`, "a", ""},
		{`{"ann":1}`, `{"ann":2}`, "ann", ""},
	} {
		var ignored []Pattern
		for text := range strings.FieldsSeq(c.ignored) {
			p, err := ParsePattern(text)
			if err != nil {
				t.Fatal(err)
			}
			ignored = append(ignored, p)
		}
		paths, ok := Differences([]byte(c.a), []byte(c.b), ignored, 10, nil)
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

// Some objects have data as names: ids, addresses, secrets, people. A path has none of these.
func TestANameThatMayBeDataIsNotTold(t *testing.T) {
	for _, name := range []string{
		"", "a@b.example", "ann.lee@b.example", "3f2a91c7", "deadbeefcafe", "+49 170 1234567",
		"Ann Lee", "Müller", "sk_live_aBcDeFgHiJkL", "eyJhbGciOiJIUzI.eyJzdWIiOi", "x7f9k2m",
		"b81c-4f2e-a0", "#", "*", strings.Repeat("n", 41), "qzxkvjwpt",
		"192.0.2.7", "ghp_qLxRtYvBnM", "supercalifragilisticexpialidocious",
		"/home/ann", "DE89 3704",
	} {
		a, b := map[string]any{name: 1, "s": ""}, map[string]any{name: 2, "s": ""}
		if got := told(t, a, b); got != "*" {
			t.Errorf("%q is told as %q", name, got)
		}
	}
	for _, name := range []string{
		"hp", "maxHp", "max_hp", "@type", "$ref", "_id", "hydra:member", "line2", "y2026", "sha256",
		"createdAt", "dc-title", "isPublishedInTheStore", "URL", "userID", "x1y1",
		"rhythm", "feedback",
	} {
		a, b := map[string]any{name: 1, "s": ""}, map[string]any{name: 2, "s": ""}
		if got := told(t, a, b); got != name {
			t.Errorf("%q is told as %q", name, got)
		}
	}
	for _, c := range []struct{ a, b, want string }{
		// a map: its values are alike
		{`{"of":{"ann":{"x":1},"bob":{"x":1}}}`, `{"of":{"ann":{"x":2},"bob":{"x":1}}}`, "of.*.x"},
		{`{"ann":{"x":1}}`, `{"ann":{"x":1},"bob":{"x":1}}`, "*"},
		{`{"a":{"x":1},"b":{"y":1}}`, `{"a":{"x":1},"b":{"y":2}}`, "b.y"},
		{`{"ann":[1]}`, `{"ann":[1],"bob":[2]}`, "*"},
		{`{"ann":true}`, `{"bob":true}`, "*"},
		// one address, and the others are of the same kind
		{`{"ann":1,"b@c.example":1}`, `{"ann":2,"b@c.example":1}`, "*"},
		{`{"ann":1,"b c":""}`, `{"ann":2,"b c":""}`, "ann"},
		// the client itself asked for it
		{`{"tiger":{"x":1}}`, `{"tiger":{"x":2}}`, "*.x"},
	} {
		paths, ok := Differences([]byte(c.a), []byte(c.b), nil, 10,
			func(name string) bool { return name == "tiger" })
		if got := strings.Join(paths, " "); !ok || got != c.want {
			t.Errorf("%s and %s: %q, want %q", c.a, c.b, got, c.want)
		}
	}
	many, other := map[string]any{"s": ""}, map[string]any{"s": ""}
	for i := range 26 * 3 {
		name := strings.Repeat(string(rune('a'+i%26)), 1+i/26)
		many[name], other[name] = i, i+1
	}
	if got := told(t, many, other); got != "*" {
		t.Errorf("of many names: %q", got)
	}
}

// told is where two objects differ.
func told(t *testing.T, a, b map[string]any) string {
	t.Helper()
	left, err1 := json.Marshal(a)
	right, err2 := json.Marshal(b)
	paths, ok := Differences(left, right, nil, 100, nil)
	if err1 != nil || err2 != nil || !ok {
		t.Fatalf("%v %v %v", err1, err2, ok)
	}
	return strings.Join(paths, " ")
}

func TestDifferencesAreBoundedAndOfJSONAlone(t *testing.T) {
	paths, ok := Differences([]byte(`{"a":1,"b":"","c":1}`), []byte(`{}`), nil, 2, nil)
	if !ok || len(paths) != 2 {
		t.Errorf("%q", paths)
	}
	for _, text := range []string{"", "{", "<html>", `{} {}`, `{"a":01}`} {
		if _, ok := Differences([]byte(`{}`), []byte(text), nil, 2, nil); ok {
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
		paths, ok := Differences([]byte(a), []byte(b), nil, 1000, nil)
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
		if left, _ := Differences([]byte(a), []byte(b), ignored, 1000, nil); len(left) > 0 &&
			len(paths) < 1000 {
			t.Errorf("%q and %q differ at %q; but for these, at %q", a, b, paths, left)
		}
		if same, _ := Differences([]byte(a), []byte(a), nil, 1, nil); len(same) > 0 {
			t.Errorf("%q differs from itself at %q", a, same)
		}
	})
}
