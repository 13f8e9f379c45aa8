package jsonbody

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestValuesOfAPath(t *testing.T) {
	for _, c := range []struct {
		text, path string
		want       []string // nil: no certain value
	}{
		{`{"id":"a"}`, "id", []string{"a"}},
		{`{"id":7}`, "id", []string{"7"}},
		{`{"id":true}`, "id", []string{"true"}},
		{`{"a":{"id":7}}`, "a.id", []string{"7"}},
		{`{"ids":[1,"b"]}`, "ids", []string{"1", "b"}},
		{`{"ids":[]}`, "ids", []string{}},
		{`{"list":[{"id":1},{"id":2}]}`, "list.#.id", []string{"1", "2"}},
		{`{"\u0069d":7}`, "id", []string{"7"}},
		{`{"id":"\u0041\u00e9"}`, "id", []string{"Aé"}},

		{`{"id":null}`, "id", nil},
		{`{"id":{}}`, "id", nil},
		{`{"ids":[1,null]}`, "ids", nil},
		{`{"ids":[[1]]}`, "ids", nil},
		{`{"other":1}`, "id", nil},
		{`{"ID":1}`, "id", nil},
		{`{"id":"\ud800"}`, "id", nil},

		// Numbers by value (RFC 8259 §6).
		{`{"ids":[5.0,6e0,0.7E+1,50e-1,-3.0]}`, "ids", []string{"5", "6", "7", "5", "-3"}},
		{`{"id":0.10}`, "id", []string{"0.1"}},
		{`{"id":0}`, "id", []string{"0"}},
		{`{"id":0e9}`, "id", []string{"0"}},
		{`{"id":9007199254740992}`, "id", []string{"9007199254740992"}},
		{`{"id":1e3}`, "id", []string{"1000"}},
		{`{"id":9007199254740993}`, "id", nil},
		{`{"id":0.1000000000000000055}`, "id", nil},
		{`{"id":1e400}`, "id", nil},
		{`{"id":1e-400}`, "id", nil},
		{`{"id":-0}`, "id", nil},
		{`{"id":-0.0}`, "id", nil},
		{`{"id":1e99999999999999999999}`, "id", nil},
	} {
		got, ok := Parse([]byte(c.text)).Values(c.path, 100)
		if ok != (c.want != nil) || ok && !slices.Equal(got, c.want) {
			t.Errorf("%s at %s: %q, %t; want %q", c.text, c.path, got, ok, c.want)
		}
	}
}

func TestATextThatParsersReadDifferentlyHoldsNothing(t *testing.T) {
	for _, text := range []string{
		``, `{`, `{} {}`, `{"id":1,}`, `{id:1}`, `{"id":1}x`, "\ufeff{\"id\":1}",
		`{"id":01}`, `{"id":NaN}`,
		`{"id":1,"id":2}`, `{"id":1,"ID":2}`, `{"id":1,"\u0069d":2}`, `{"id":1,"a":{"b":1,"B":1}}`,
		`[{"id":1,"id":1}]`,
		`{"is":1,"iſ":2}`, `{"k":1,"K":2}`, `{"id":1,"ıd":2}`, `{"id":1,"İd":2}`, `{"ß":1,"ẞ":2}`,
		"{\"id\":\"\xff\"}", `{"\ud800":1,"\ud801":2}`,
		strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
		`{` + manyNames(40) + `"n7":1}`,
	} {
		if d := Parse([]byte(text)); d != nil {
			t.Errorf("%.80s holds something", text)
		}
	}
	for _, text := range []string{
		`{"id":1}`, `[{"id":1},{"id":2}]`, `{"a":{"id":1},"id":2}`, `{"a":"id","b":"id"}`, `7`,
		`"x"`, `{"a":["id","id"]}`,
		`{"a\"b":1,"a":2}`, `{` + manyNames(40) + `"last":1}`,
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth),
	} {
		if Parse([]byte(text)) == nil {
			t.Errorf("%.80s holds nothing", text)
		}
	}
}

// manyNames are n pairs, each followed by a comma.
func manyNames(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`"N` + strconv.Itoa(i) + `":{"x":1},`)
	}
	return b.String()
}

// A long list is looked at as far as its values are wanted.
func TestALongListIsReadUpToTheLimit(t *testing.T) {
	const ids = 400_000
	text := `{"ids":[` + strings.Repeat("1,", ids-1) + `2]}`
	d := Parse([]byte(text))
	const limit = 100
	got, ok := d.Values("ids", limit)
	if !ok || len(got) != limit+1 {
		t.Errorf("%d values, %t", len(got), ok)
	}
	if stored := d.found["ids"]; cap(stored.values) > 4*limit {
		t.Errorf("room for %d values was made", cap(stored.values))
	}
	if got, ok := d.Values("ids", 10); !ok || len(got) != 11 {
		t.Errorf("with a lower limit: %d values, %t", len(got), ok)
	}
	if got, ok := d.Values("ids", 2*limit); !ok || len(got) != 2*limit+1 {
		t.Errorf("with a higher limit: %d values, %t", len(got), ok)
	}
	if got, ok := d.Values("ids", ids); !ok || len(got) != ids {
		t.Errorf("with room for all: %d values, %t", len(got), ok)
	}
}

func TestAPathIsLookedUpOnce(t *testing.T) {
	d := Parse([]byte(`{"ids":[1,2,3],"id":7}`))
	for _, path := range []string{"ids", "id", "none"} {
		d.Values(path, 10)
		if n := testing.AllocsPerRun(10, func() { d.Values(path, 10) }); n > 0 {
			t.Errorf("%s: %v allocations to look again", path, n)
		}
	}
}

func TestContentTypesOfJSON(t *testing.T) {
	for contentType, want := range map[string]bool{
		"application/json": true, "application/json; charset=utf-8": true,
		"Application/JSON;charset=\"UTF-8\"": true,
		"application/problem+json":           true, "application/vnd.api+json": true,
		"": false, "text/json": false, "application/json; charset=utf-7": false,
		"application/json; charset=utf-16":  false,
		"application/x-www-form-urlencoded": false, "application/jsonx": false,
		"application/json, text/plain":                   false,
		"application/json; charset=utf-8; charset=utf-7": false, "text/html": false,
	} {
		if got := IsJSON(contentType); got != want {
			t.Errorf("%q: %t", contentType, got)
		}
	}
}

// FuzzParse: a text that holds something is read by encoding/json, and no two names of an object in
// it are alike to it.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"id":1}`, `{"a":[1,{"b":2}]}`, `{"\u0069d":1,"ıd":2}`, `[1e5,-0,"\\\""]`, `{"id":5.0}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d := Parse(text)
		if d == nil {
			return
		}
		var decoded struct{ ID json.RawMessage }
		if json.Unmarshal(text, &decoded) != nil {
			return // no object
		}
		values, ok := d.Values("id", 10)
		if !ok || len(values) != 1 {
			return
		}
		var asText string
		var asNumber float64
		switch {
		case json.Unmarshal(decoded.ID, &asText) == nil:
			if asText != values[0] {
				t.Errorf("%q: %q here, %q there", text, values[0], asText)
			}
		case json.Unmarshal(decoded.ID, &asNumber) == nil:
			if here, err := strconv.ParseFloat(values[0], 64); err != nil || here != asNumber {
				t.Errorf("%q: %q here, %v there", text, values[0], asNumber)
			}
		}
	})
}
