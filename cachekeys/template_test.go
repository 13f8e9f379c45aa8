package cachekeys_test

import (
	"errors"
	"slices"
	"testing"

	"sidecar/cachekeys"
)

// given fills placeholders by their names.
type given map[string][]string

func (g given) Value(p cachekeys.Placeholder, _ int) ([]string, bool) {
	values, ok := g[p.Name]
	return values, ok
}

func parse(t *testing.T, s string) *cachekeys.Template {
	t.Helper()
	template, err := cachekeys.ParseTemplate(s)
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return template
}

func TestAFaultyTemplateSaysWhere(t *testing.T) {
	for s, offset := range map[string]int{
		"": 0, "a{": 1, "a}": 1, "a*b": 1, "{a b}": 0, "x:{query.}": 2, "x:{1a}": 2, "a\nb": 1,
		"{request.body.a": 0, "{{a}}": 0, "x{header.}": 1,
	} {
		_, err := cachekeys.ParseTemplate(s)
		var fault *cachekeys.TemplateError
		if !errors.As(err, &fault) || fault.Offset != offset {
			t.Errorf("%q: %v, want a fault at %d", s, err, offset)
		}
	}
}

func TestWhatATemplateYields(t *testing.T) {
	named, family := cachekeys.Named, cachekeys.Family
	for _, c := range []struct {
		name, template string
		values         given
		want           cachekeys.Expansion
	}{
		{"a literal", "npcs", nil, cachekeys.Expansion{Tags: []cachekeys.Tag{named("npcs")}}},
		{"one value and its family", "character:{id}", given{"id": {"42"}},
			cachekeys.Expansion{
				Tags:     []cachekeys.Tag{named("character:42")},
				Families: []cachekeys.Tag{family("character:")},
			}},
		{"a family for each placeholder", "user:{u}:item:{i}", given{"u": {"7"}, "i": {"x"}},
			cachekeys.Expansion{
				Tags:     []cachekeys.Tag{named("user:7:item:x")},
				Families: []cachekeys.Tag{family("user:"), family("user:7:item:")},
			}},
		{"a family as written", "user:{u}:*", given{"u": {"7"}},
			cachekeys.Expansion{
				Tags:     []cachekeys.Tag{family("user:7:")},
				Families: []cachekeys.Tag{family("user:")},
			}},
		{"a value that looks like more", "character:{id}", given{"id": {"42:sheet*"}},
			cachekeys.Expansion{
				Tags:     []cachekeys.Tag{named("character:42%3Asheet%2A")},
				Families: []cachekeys.Tag{family("character:")},
			}},
		{"a list", "c:{request.body.ids}", given{"ids": {"1", "2"}},
			cachekeys.Expansion{
				Tags:     []cachekeys.Tag{named("c:1"), named("c:2")},
				Families: []cachekeys.Tag{family("c:")},
			}},
		{"an empty list", "c:{request.body.ids}", given{"ids": {}},
			cachekeys.Expansion{Families: []cachekeys.Tag{family("c:")}}},
		{"lower case", "c:{id|lower}", given{"id": {"AbC"}},
			cachekeys.Expansion{
				Tags: []cachekeys.Tag{named("c:abc")}, Families: []cachekeys.Tag{family("c:")},
			}},
		{"what cannot be filled", "user:{u}:item:{i}", given{"u": {"7"}},
			cachekeys.Expansion{Unfilled: []cachekeys.Tag{family("user:7:item:")}}},
		{"an empty value", "c:{id}", given{"id": {""}},
			cachekeys.Expansion{Unfilled: []cachekeys.Tag{family("c:")}}},
		{"more than the limit", "c:{request.body.ids}", given{"ids": {"1", "2", "3", "4"}},
			cachekeys.Expansion{Unfilled: []cachekeys.Tag{family("c:")}}},
	} {
		got := parse(t, c.template).Expand(c.values, 3)
		if !slices.Equal(got.Tags, c.want.Tags) || !slices.Equal(got.Families, c.want.Families) ||
			!slices.Equal(got.Unfilled, c.want.Unfilled) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestWhatIsKnownBeforeTheAnswer(t *testing.T) {
	prefix, families, ok := parse(t,
		"user:{u}:x{response.body.id}:y").Known(given{"u": {"7"}, "id": {"never looked at"}})
	if prefix != "user:7:x" || !ok ||
		!slices.Equal(families,
			[]cachekeys.Tag{cachekeys.Family("user:"), cachekeys.Family("user:7:x")}) {
		t.Errorf("%q %v %t", prefix, families, ok)
	}
	if _, _, ok := parse(t, "user:{u}:{response.body.id}").Known(given{}); ok {
		t.Error("known without its value")
	}
}

func TestATagBelongsToTheFamilyThatATemplateMakesOfIt(t *testing.T) {
	for _, c := range []struct {
		template, text, family string
		ok                     bool
	}{
		{"user:*", "user:7:characters", "user:", true},
		{"user:{u}:*", "user:7:characters", "user:7:", true},
		{"user:{u}:*", "user:7", "", false},
		{"user:{u}:*", "user::characters", "", false},
		{"user:{u}:x*", "user:7:y", "", false},
		{"character:*", "user:7", "", false},
	} {
		tag, ok := parse(t, c.template).FamilyOf(c.text)
		if got, _ := tag.IsFamily(); ok != c.ok || got != c.family {
			t.Errorf("%q of %q: %q, %t", c.template, c.text, got, ok)
		}
	}
}

func TestATextNeverTakesAValueForWhatStandsBesideIt(t *testing.T) {
	template := parse(t, "{claim.a}-{claim.b}")
	x, _ := template.Text(given{"a": {"1-2"}, "b": {"3"}})
	y, _ := template.Text(given{"a": {"1"}, "b": {"2-3"}})
	if x == y || x == "" {
		t.Errorf("%q and %q", x, y)
	}
	for _, values := range []given{
		{"a": {"1"}}, {"a": {"1"}, "b": {"2", "3"}}, {"a": {"1"}, "b": {""}},
	} {
		if got, ok := template.Text(values); ok {
			t.Errorf("%v makes %q", values, got)
		}
	}
}

func FuzzParseTemplate(f *testing.F) {
	for _, seed := range []string{
		"a:{b}", "{request.body.#(a==1).b}", "x*", "{now-1h}", "{a|lower}", "{{}}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		template, err := cachekeys.ParseTemplate(s)
		if err != nil {
			return
		}
		if template.String() != s {
			t.Errorf("%q is written %q", s, template.String())
		}
		for _, p := range template.Placeholders() {
			if s[p.Offset] != '{' {
				t.Errorf("%q: no placeholder at %d", s, p.Offset)
			}
		}
	})
}
