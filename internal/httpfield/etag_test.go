package httpfield

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestParseETag(t *testing.T) { // RFC 9110 §8.8.3
	for _, tt := range []struct {
		rule, in string
		want     ETag
		ok       bool
	}{
		{"strong", `"xyzzy"`, ETag{Opaque: "xyzzy"}, true},
		{"weak", `W/"xyzzy"`, ETag{Weak: true, Opaque: "xyzzy"}, true},
		{"empty", `""`, ETag{}, true},
		{"a backslash escapes nothing", `"a\"`, ETag{Opaque: `a\`}, true},
		{"a comma is a byte like any other", `"a,b"`, ETag{Opaque: "a,b"}, true},
		{"bytes over 127 are allowed", "\"\xfc\"", ETag{Opaque: "\xfc"}, true},
		{"unquoted", "xyzzy", ETag{}, false},
		{"open", `"xyzzy`, ETag{}, false},
		{"a space within", `"x y"`, ETag{}, false},
		{"a small w", `w/"xyzzy"`, ETag{}, false},
		{"a space behind W/", `W/ "xyzzy"`, ETag{}, false},
		{"white space around", ` "xyzzy"`, ETag{}, false},
		{"two", `"a", "b"`, ETag{}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, ok := ParseETag(tt.in)
			if ok != tt.ok || ok && got != tt.want {
				t.Errorf("ParseETag(%q) = %+v, %v", tt.in, got, ok)
			}
		})
	}
}

func TestETagComparison(t *testing.T) { // RFC 9110 §8.8.3.2, its table
	weak1, weak2, strong1 := ETag{Weak: true, Opaque: "1"},
		ETag{Weak: true, Opaque: "2"}, ETag{Opaque: "1"}
	for _, tt := range []struct {
		a, b         ETag
		strong, weak bool
	}{
		{weak1, weak1, false, true},
		{weak1, weak2, false, false},
		{weak1, strong1, false, true},
		{strong1, strong1, true, true},
	} {
		for _, pair := range [][2]ETag{{tt.a, tt.b}, {tt.b, tt.a}} {
			if got := pair[0].StrongMatch(pair[1]); got != tt.strong {
				t.Errorf("%v and %v: strong comparison %v", pair[0], pair[1], got)
			}
			if got := pair[0].WeakMatch(pair[1]); got != tt.weak {
				t.Errorf("%v and %v: weak comparison %v", pair[0], pair[1], got)
			}
		}
	}
}

func TestParseETags(t *testing.T) { // RFC 9110 §13.1.1, §13.1.2
	a, b := ETag{Opaque: "a"}, ETag{Weak: true, Opaque: "b,"}
	for _, tt := range []struct {
		rule    string
		values  []string
		want    []ETag
		any, ok bool
	}{
		{"one", []string{`"a"`}, []ETag{a}, false, true},
		{"a list, empty members and all", []string{`, "a" ,,W/"b,",`}, []ETag{a, b}, false, true},
		{"several lines", []string{`"a"`, `W/"b,"`}, []ETag{a, b}, false, true},
		{"a star", []string{" * "}, nil, true, true},
		{"a backslash before the closing quote", []string{`"x\", "a"`},
			[]ETag{{Opaque: `x\`}, a}, false, true},
		{"a star in a list is bad", []string{`*, "a"`}, nil, false, false},
		{"a star on a line of its own beside others is bad", []string{"*", `"a"`},
			nil, false, false},
		{"a quoted star is a tag", []string{`"*"`}, []ETag{{Opaque: "*"}}, false, true},
		{"one bad member spoils the list", []string{`"a", b`}, nil, false, false},
		{"no comma between is bad", []string{`"a" "b"`}, nil, false, false},
		{"an empty line is no list", []string{""}, nil, false, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, any, ok := ParseETags(tt.values)
			if any != tt.any || ok != tt.ok || !slices.Equal(got, tt.want) {
				t.Errorf("ParseETags(%q) = %v, %v, %v", tt.values, got, any, ok)
			}
		})
	}
}

func FuzzParseETags(f *testing.F) {
	for _, s := range []string{
		`"a"`, `W/"a", "b"`, `*`, `"a`, `"\", "\"`, `,"a",`, "\"\xff\"", `"a""b"`,
	} {
		f.Add(s)
	}
	const tag = `(?:W/)?"[\x21\x23-\x7e\x80-\x{10ffff}]*"`
	list := regexp.MustCompile(`\A[ \t,]*` + tag + `[ \t]*(?:,[ \t,]*(?:` + tag + `[ \t]*)?)*\z`)
	one := regexp.MustCompile(tag)
	f.Fuzz(func(t *testing.T, s string) {
		tags, any, ok := ParseETags([]string{s})
		if want := strings.Trim(s, " \t") == "*"; any != want {
			t.Fatalf("ParseETags(%q) any = %v", s, any)
		}
		if ok != (any || list.MatchString(s)) {
			t.Fatalf("ParseETags(%q) = %v, %v, %v", s, tags, any, ok)
		}
		var printed []string
		for _, tag := range tags {
			printed = append(printed, tag.String())
			if back, ok := ParseETag(tag.String()); !ok || back != tag {
				t.Fatalf("%+v is printed as what is read as %+v, %v", tag, back, ok)
			}
		}
		if ok && !slices.Equal(printed, one.FindAllString(s, -1)) {
			t.Fatalf("ParseETags(%q) = %q", s, printed)
		}
	})
}
