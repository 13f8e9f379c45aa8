package httpfield

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseDictionary(t *testing.T) { // RFC 9651 §3.2, §4.2.2
	for _, tt := range []struct {
		rule   string
		values []string
		keys   []string // nil if it does not count
	}{
		{"keys with values of every type (§3.3), an inner list, and none",
			[]string{`a=1, b=-1.5, c="x", d=tok/en:1, e=:YQ==:, f=?0, g=@1, h=%"f%c3%bc", i=(1 "x"), j`}, strings.Split("abcdefghij", "")},
		{"lines are parts of one (§4.2)", []string{"a=1", "b"}, []string{"a", "b"}},
		{"spaces around all of it, and tabs around commas, are none of it",
			[]string{"  a=1 \t,\t b  "}, []string{"a", "b"}},
		{"parameters, be it of a key without a value (§3.1.2)", []string{`a;x=1;y, b=(1;z);x`},
			[]string{"a", "b"}},
		{"a key that comes twice is there once", []string{"a=1, b, a=2"}, []string{"a", "b"}},
		{"a key begins with a letter or a star, and goes on with more (§3.1.2)",
			[]string{"*a-b_c.1*"}, []string{"*a-b_c.1*"}},

		{"absent", nil, nil},
		{"empty is absent", []string{""}, nil},
		{"spaces alone are empty", []string{"  "}, nil},
		{"an empty member", []string{"a,,b"}, nil},
		{"an empty line among others", []string{"a", "", "b"}, nil},
		{"a comma at the end", []string{"a,"}, nil},
		{"a missing comma", []string{"a b"}, nil},
		{"a space around the equals sign", []string{"a = 1"}, nil},
		{"a missing value", []string{"a="}, nil},
		{"a missing key", []string{"=1"}, nil},
		{"upper case in a key", []string{"Max-age=1"}, nil},
		{"an open quote", []string{`a="x`}, nil},
		{"an escape of what needs none (§3.3.3)", []string{`a="\x"`}, nil},
		{"a byte that is not ASCII", []string{"a=\"\xc3\xa9\""}, nil},
		{"a control byte", []string{"a=\"\t\""}, nil},
		{"more than 15 digits (§3.3.1)", []string{"a=1000000000000000"}, nil},
		{"more than 3 decimals (§3.3.2)", []string{"a=1.0001"}, nil},
		{"a plus sign", []string{"a=+1"}, nil},
		{"an open inner list (§3.1.1)", []string{`a=("x"`}, nil},
		{"an inner list in an inner list", []string{"a=((1))"}, nil},
		{"a boolean that is none (§3.3.6)", []string{"a=?2"}, nil},
		{"a date that is none (§3.3.7)", []string{"a=@1.5"}, nil},
		{"a display string that is not UTF-8 (§3.3.8)", []string{`a=%"%ff"`}, nil},
		{"one fault spoils all lines", []string{"a=1", "b=1", "&"}, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			d, ok := parseDictionary(tt.values)
			if ok != (tt.keys != nil) || ok && !slices.Equal(d.Names(), tt.keys) {
				t.Errorf("parseDictionary(%q) = %+v, %v", tt.values, d, ok)
			}
		})
	}
}

func TestParseList(t *testing.T) { // RFC 9651 §3.1, §4.2.1
	for _, tt := range []struct {
		rule   string
		values []string
		want   []string // the Strings among the members, "-" for the others
		ok     bool
	}{
		{"members of any type", []string{`"a", b, ("c"), 1`}, []string{"a", "-", "-", "-"}, true},
		{"lines are parts of one (§4.2)", []string{`"a"`, `"b"`}, []string{"a", "b"}, true},
		{"a member that comes twice is there twice", []string{`"a","a"`}, []string{"a", "a"}, true},
		{"escapes (§3.3.3)", []string{`"\"\\"`}, []string{`"\`}, true},
		{"parameters are no part of a value", []string{`"a";b="c"`}, []string{"a"}, true},
		{"an absent one has no members", nil, nil, true},
		{"so has an empty one", []string{""}, nil, true},
		{"a comma at the end", []string{`"a",`}, nil, false},
		{"one fault spoils all lines", []string{`"a"`, `"b`}, nil, false},
		{"a key", []string{`a="b"`}, nil, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			l, ok := parseList(tt.values)
			var got []string
			for _, m := range l {
				s, isString := stringOf(m)
				if !isString {
					s = "-"
				}
				got = append(got, s)
			}
			if ok != tt.ok || !slices.Equal(got, tt.want) {
				t.Errorf("parseList(%q) = %q, %v", tt.values, got, ok)
			}
		})
	}
}

// The grammar of RFC 9651 §3 as regular expressions, without Byte Sequences and Display Strings,
// whose contents are none.
var (
	sfKey    = `[a-z*][-a-z0-9_.*]*`
	sfBare   = `(?:-?[0-9]{1,12}\.[0-9]{1,3}|-?[0-9]{1,15}|"(?:[ !\x23-\x5b\x5d-\x7e]|\\["\\])*"|[A-Za-z*][-!#$%&'*+.^_|~0-9A-Za-z:/` + "`" + `]*|\?[01]|@-?[0-9]{1,15})`
	sfParams = `(?:; *` + sfKey + `(?:=` + sfBare + `)?)*`
	sfItem   = sfBare + sfParams
	sfMember = `(?:` + sfItem + `|\( *(?:` + sfItem + `(?: +` + sfItem + `)*)? *\)` + sfParams + `)`
	sfEntry  = sfKey + `(?:=` + sfMember + `|` + sfParams + `)`
	sfComma  = `[ \t]*,[ \t]*`
	sfDict   = regexp.MustCompile(`\A *` + sfEntry + `(?:` + sfComma + sfEntry + `)*[ \t]*\z`)
	sfList   = regexp.MustCompile(`\A *(?:` + sfMember + `(?:` + sfComma +
		sfMember + `)*[ \t]*)?\z`)
)

func FuzzStructured(f *testing.F) {
	for _, s := range []string{
		"a=1, b;x=?0", "a=(\"x\" tok;y 1.5);z=@-5\t,b", `"a\"", b , (1 2)`, "a, ",
		"a=999999999999999", "a=-9999999999999.1", "a=( )", "1.", "-", "a=@", `*=*;a="`, " ",
		"a=(1\t2)", "a;\tb",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, dict := parseDictionary([]string{s})
		_, list := parseList([]string{s})
		if strings.ContainsAny(s, ":%") || !utf8.ValidString(s) {
			return
		}
		if want := sfDict.MatchString(s); dict != want {
			t.Errorf("parseDictionary(%q) = %v", s, dict)
		}
		if want := sfList.MatchString(s); list != want {
			t.Errorf("parseList(%q) = %v", s, list)
		}
	})
}
