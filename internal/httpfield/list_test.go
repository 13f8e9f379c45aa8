package httpfield

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func TestMembers(t *testing.T) { // RFC 9110 §5.6.1
	for _, tt := range []struct {
		rule   string
		values []string
		want   []string
		ok     bool
	}{
		{"members are separated by commas", []string{"a,b"}, []string{"a", "b"}, true},
		{"white space around them is no part of them", []string{" a\t, \tb c "},
			[]string{"a", "b c"}, true},
		{"empty members do not count", []string{",, a, ,b,"}, []string{"a", "b"}, true},
		{"field lines are parts of one list", []string{"a", "", "b, c"},
			[]string{"a", "b", "c"}, true},
		{"a comma in a quoted-string separates nothing", []string{`a="1,2", b`},
			[]string{`a="1,2"`, "b"}, true},
		{"an escaped quote does not end the quoted-string", []string{`"\",", b`},
			[]string{`"\","`, "b"}, true},
		{"a backslash escapes only inside quotes", []string{`\", b"`}, []string{`\", b"`}, true},
		{"an open quote makes the rest unsure", []string{`a, "b, c`, "d"},
			[]string{"a", "d"}, false},
		{"an escape at the end is an open quote", []string{`"\`}, nil, false},
		{"nothing has no members", nil, nil, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, ok := Members(tt.values)
			if ok != tt.ok || !slices.Equal(got, tt.want) {
				t.Errorf("Members(%q) = %q, %v", tt.values, got, ok)
			}
		})
	}
}

func TestFieldNames(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		values []string
		want   []string
		ok     bool
	}{
		{"names are made canonical", []string{"accept-ENCODING , x"},
			[]string{"Accept-Encoding", "X"}, true},
		{"a star is a token", []string{"*"}, []string{"*"}, true},
		{"what is no token spoils the list", []string{"a, b c, d"}, []string{"A", "D"}, false},
		{"quotes do not hide a name", []string{`"a, x-tenant`}, []string{"X-Tenant"}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, ok := FieldNames(tt.values)
			if ok != tt.ok || !slices.Equal(got, tt.want) {
				t.Errorf("FieldNames(%q) = %q, %v", tt.values, got, ok)
			}
		})
	}
}

func FuzzMembers(f *testing.F) {
	for _, s := range []string{
		"a,b", ` ,, "a,\"b" ,c=" ,", `, `"`, `a"b,"c`, `"\\",x`, "\"\xff\\\xff\"", `\"`,
	} {
		f.Add(s)
	}
	const quoted = `"(?:[^"\\]|\\.)*"`
	closed := regexp.MustCompile(`(?s)\A(?:[^"]|` + quoted + `)*\z`)
	member := regexp.MustCompile(`(?s)(?:[^",]|` + quoted + `)+`)
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := Members([]string{s})
		if ok != closed.MatchString(s) {
			t.Fatalf("Members(%q) ok = %v", s, ok)
		}
		if !ok {
			return
		}
		var want []string
		for _, m := range member.FindAllString(s, -1) {
			if m = strings.Trim(m, " \t"); m != "" {
				want = append(want, m)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("Members(%q) = %q; naively %q", s, got, want)
		}
		if again, _ := Members([]string{strings.Join(got, ", ")}); !slices.Equal(again, got) {
			t.Fatalf("%q is printed as what is read as %q", got, again)
		}
	})
}

func FuzzFieldNames(f *testing.F) {
	for _, s := range []string{"Accept, accept-language", " ,*", `"a", b`, "a b", "\xff,x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		names, ok := FieldNames([]string{s})
		allowed := regexp.MustCompile(
			"\\A(?:[ \t]*[-!#$%&'*+.^_`|~0-9A-Za-z]*[ \t]*(?:,|\\z))*\\z").MatchString(s)
		if ok != allowed {
			t.Fatalf("FieldNames(%q) = %q, %v", s, names, ok)
		}
		again, _ := FieldNames(names)
		if !slices.Equal(again, names) {
			t.Fatalf("%q becomes %q when it is read again", names, again)
		}
		folded := strings.FieldsFunc(strings.ToLower(s),
			func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
		if ok && !slices.Equal(folded, strings.Fields(strings.ToLower(strings.Join(names, " ")))) {
			t.Fatalf("FieldNames(%q) = %q; naively %q", s, names, folded)
		}
	})
}
