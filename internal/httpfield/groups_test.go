package httpfield

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// quotedNames are n different Strings of size characters, as a List.
func quotedNames(n, size int) string {
	var members []string
	for i := range n {
		members = append(members, fmt.Sprintf(`"%0*d"`, size, i))
	}
	return strings.Join(members, ", ")
}

func TestCacheGroups(t *testing.T) { // RFC 9875 §2, §3
	for _, tt := range []struct {
		rule         string
		values       []string
		want         []string
		ok, overflow bool
	}{
		{"a list of strings", []string{`"scripts", "a b"`},
			[]string{"scripts", "a b"}, true, false},
		{"lines are parts of one list", []string{`"a"`, `"b", "c"`},
			[]string{"a", "b", "c"}, true, false},
		{"names are opaque: escapes, commas, and no characters at all", []string{`"\"\\,", ""`},
			[]string{`"\,`, ""}, true, false},
		{"names are compared by character, case-sensitive (§2.1)", []string{`"a", "A", "a"`},
			[]string{"a", "A"}, true, false},
		{"parameters are ignored", []string{`"a";revalidate, "b";x="c"`},
			[]string{"a", "b"}, true, false},
		{"members of other types are ignored", []string{`a, "b", 1, ("c"), ?1, :YQ==:, %"d"`},
			[]string{"b"}, true, false},
		{"absent", nil, nil, true, false},
		{"empty", []string{""}, nil, true, false},
		{"one fault spoils the field (RFC 9651 §4.2)", []string{`"a"`, `"b`}, nil, false, false},
		{"names without quotes but with a comma at the end", []string{"a, b,"}, nil, false, false},
		{"32 groups of 32 characters", []string{quotedNames(32, 32)},
			unquote(quotedNames(32, 32)), true, false},
		{"64 groups of 128 characters, and again",
			[]string{quotedNames(64, 128), quotedNames(64, 128)},
			unquote(quotedNames(64, 128)), true, false},
		{"the 65th is dropped", []string{quotedNames(65, 3)},
			unquote(quotedNames(64, 3)), true, true},
		{"one of 129 characters is dropped, and the next is not",
			[]string{quotedNames(1, 129), `"a"`}, []string{"a"}, true, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, ok, overflow := CacheGroups(tt.values)
			if ok != tt.ok || overflow != tt.overflow || !slices.Equal(got, tt.want) {
				t.Errorf("CacheGroups(%q) = %q, %v, %v", tt.values, got, ok, overflow)
			}
		})
	}
}

func unquote(list string) []string { return strings.Split(strings.ReplaceAll(list, `"`, ""), ", ") }

func TestSurrogateKeys(t *testing.T) {
	plain := func(n, size int) string { return strings.Join(unquote(quotedNames(n, size)), " ") }
	for _, tt := range []struct {
		rule     string
		fields   Header
		want     []string
		overflow bool
	}{
		{"Surrogate-Key is separated by spaces", Header{"Surrogate-Key": {" a  b,c\td "}},
			[]string{"a", "b,c", "d"}, false},
		{"so is xkey", Header{"Xkey": {"a b"}}, []string{"a", "b"}, false},
		{"Cache-Tag is separated by commas", Header{"Cache-Tag": {" a , b c,,\td\t,"}},
			[]string{"a", "b c", "d"}, false},
		{"lines and fields add up", Header{
			"Surrogate-Key": {"a", "b"}, "Xkey": {"c"}, "Cache-Tag": {"d", "e"},
		}, []string{"a", "b", "c", "d", "e"}, false},
		{"a name that comes twice is there once",
			Header{"Surrogate-Key": {"a a"}, "Cache-Tag": {"a,A"}}, []string{"a", "A"}, false},
		{"bytes are opaque", Header{"Xkey": {"\xff \u00a0x"}}, []string{"\xff", "\u00a0x"}, false},
		{"nothing is no name", Header{"Surrogate-Key": {"", " "}, "Cache-Tag": {"", " , "}}, nil,
			false},
		{"no fields", Header{"Etag": {"a"}}, nil, false},
		{"128 names of 256 bytes", Header{"Xkey": {plain(128, 256)}},
			unquote(quotedNames(128, 256)), false},
		{"the 129th is dropped, of whatever field",
			Header{"Xkey": {plain(128, 3)}, "Cache-Tag": {"000,x"}},
			unquote(quotedNames(128, 3)), true},
		{"one of 257 bytes is dropped, and the next is not", Header{"Xkey": {plain(1, 257) + " a"}},
			[]string{"a"}, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, overflow := SurrogateKeys(tt.fields)
			if overflow != tt.overflow || !slices.Equal(got, tt.want) {
				t.Errorf("SurrogateKeys(%q) = %q, %v", tt.fields, got, overflow)
			}
		})
	}
}

func FuzzCacheGroups(f *testing.F) {
	for _, s := range []string{
		`"a", "b";x`, `a, "b"`, `"a"`, `"a`, "", `("a")`, quotedNames(65, 2), quotedNames(2, 129),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		groups, ok, overflow := CacheGroups([]string{s})
		if len(groups) > 64 || !ok && (groups != nil || overflow) {
			t.Fatalf("CacheGroups(%q) = %q, %v, %v", s, groups, ok, overflow)
		}
		var lines []string
		for i, group := range groups {
			if len(group) > 128 || slices.Contains(groups[:i], group) {
				t.Fatalf("CacheGroups(%q) = %q", s, groups)
			}
			line, _ := Quote(group)
			lines = append(lines, line)
		}
		if again, ok, overflow := CacheGroups(lines); !ok || overflow ||
			!slices.Equal(again, groups) {
			t.Fatalf("CacheGroups(%q) = %q, but %q of it", s, groups, again)
		}
	})
}

func FuzzSurrogateKeys(f *testing.F) {
	f.Add(" a  b\tc", "d, e f,,")
	f.Add(strings.Repeat("x", 257)+" \xff", ",")
	f.Fuzz(func(t *testing.T, spaced, commaed string) {
		names, overflow := SurrogateKeys(Header{"Surrogate-Key": {spaced}, "Cache-Tag": {commaed}})
		if len(names) > 128 {
			t.Fatalf("%d names", len(names))
		}
		for i, name := range names {
			if name == "" || len(name) > 256 || TrimOWS(name) != name ||
				slices.Contains(names[:i], name) {
				t.Fatalf("SurrogateKeys(%q, %q) = %q", spaced, commaed, names)
			}
		}
		if !overflow && len(spaced)+len(commaed) > 0 && len(names) == 0 &&
			strings.Trim(spaced, " \t")+strings.Trim(commaed, " \t,") != "" {
			t.Fatalf("SurrogateKeys(%q, %q) found nothing", spaced, commaed)
		}
	})
}
