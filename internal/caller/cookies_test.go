package caller_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sidecar/internal/caller"
	"sidecar/internal/httpfield"
)

// TestCookiesOfWhichParsersDisagreeAreAllCredentials: with cookie:session alone as credential.
func TestCookiesOfWhichParsersDisagreeAreAllCredentials(t *testing.T) {
	for _, tt := range []struct {
		rule string
		a, b []string
		same bool
	}{
		{"what is quoted is the value, quotes included", []string{`Cookie: session="a"`}, []string{`Cookie: session=a`}, false},
		{"quotes that close before ';' hide nothing", []string{`Cookie: session="a"; x="1"`}, []string{`Cookie: session="a"; x="2"`}, true},
		{"a ';' in quotes may belong to the value", []string{`Cookie: session="a;1"`}, []string{`Cookie: session="a;2"`}, false},
		{"the credential may be in the quotes of another", []string{`Cookie: x="1; session=a"`}, []string{`Cookie: x="2; session=a"`}, false},
		{"a quote that never closes", []string{`Cookie: session="a; x=1`}, []string{`Cookie: session="a; x=2`}, false},
		{"a quote within a value", []string{`Cookie: session=a"b; x=1`}, []string{`Cookie: session=a"b; x=2`}, false},
		{"an escaped quote may not close", []string{`Cookie: session="\";1;\""`}, []string{`Cookie: session="\";2;\""`}, false},
		{"a quote after an escaped one may open again", []string{`Cookie: session="\"";1\"`}, []string{`Cookie: session="\"";2\"`}, false},
		{"an escaped pair of quotes hides nothing", []string{`Cookie: session="{\"k\":1}"; x=1`}, []string{`Cookie: session="{\"k\":1}"; x=2`}, true},
		{"an escaped backslash escapes no quote", []string{`Cookie: session="a\\"; x=1`}, []string{`Cookie: session="a\\"; x=2`}, true},
		{"the other lines stay clear", []string{`Cookie: x="1`, `Cookie: session=a; y=1`}, []string{`Cookie: x="1`, `Cookie: session=a; y=2`}, true},
		{"a name that some parsers trim to the credential's", []string{"Cookie: \xa0session=a"}, []string{"Cookie: \xa0session=b"}, false},
		{"or unquote to it", []string{`Cookie: "session"=a`}, []string{`Cookie: "session"=b`}, false},
		{"a pair without '=' may be a value without a name", []string{"Cookie: a"}, []string{"Cookie: b"}, false},

		{"of several cookies of one name all count", []string{"Cookie: session=1; session=2"}, []string{"Cookie: session=1; session=3"}, false},
		{"the first as well", []string{"Cookie: session=2; session=1"}, []string{"Cookie: session=3; session=1"}, false},
		{"in their order", []string{"Cookie: session=1; session=2"}, []string{"Cookie: session=2; session=1"}, false},
		{"and each time", []string{"Cookie: session=1; session=1"}, []string{"Cookie: session=1"}, false},
		{"over several lines", []string{"Cookie: session=1", "Cookie: session=2"}, []string{"Cookie: session=1; session=2"}, true},
		{"also in their order", []string{"Cookie: session=1", "Cookie: session=2"}, []string{"Cookie: session=2", "Cookie: session=1"}, false},
		{"space around the pair and '=' says nothing", []string{"Cookie:  session = 1\t;x=2"}, []string{"Cookie: session=1"}, true},
		{"space is SP and HTAB alone", []string{"Cookie: session=1\u00a0"}, []string{"Cookie: session=1"}, false},
		{"space within the value is the value", []string{"Cookie: session=a b"}, []string{"Cookie: session=ab"}, false},
		{"'=' within the value is the value", []string{"Cookie: session=a=b"}, []string{"Cookie: session=a"}, false},
		{"values are case-sensitive", []string{"Cookie: session=a"}, []string{"Cookie: session=A"}, false},
		{"a comma ends nothing", []string{"Cookie: session=a,b"}, []string{"Cookie: session=a"}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			a, b := who(t, only("cookie:session"), tt.a...), who(t, only("cookie:session"), tt.b...)
			if a.Anonymous || b.Anonymous || a.ID == "" || b.ID == "" {
				t.Fatalf("%+v, %+v", a, b)
			}
			if (a.ID == b.ID) != tt.same {
				t.Errorf("same %v, want %v", a.ID == b.ID, tt.same)
			}
		})
	}
}

func TestALineThatIsNotClearCountsThoughItsCookiesAreIgnored(t *testing.T) {
	a, b := who(t, caller.Default(), `Cookie: csrf="a;b"`), who(t, caller.Default(), `Cookie: csrf="a;c"`)
	if a.Anonymous || b.Anonymous || a.ID == b.ID {
		t.Errorf("%+v, %+v", a, b)
	}
}

func TestHasCookieIsCertain(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		lines []string
		want  bool
	}{
		{"there", []string{"Cookie: csrf=1"}, true},
		{"without a value", []string{"Cookie: csrf="}, true},
		{"beside others", []string{"Cookie: a=1; csrf=1;b=2"}, true},
		{"in a second line", []string{"Cookie: a=1", "Cookie: csrf=1"}, true},
		{"with quotes that close", []string{`Cookie: a="b"; csrf="1"`}, true},
		{"with space before '='", []string{"Cookie: csrf =1"}, true},
		{"beside a line that is not clear", []string{`Cookie: a="b`, "Cookie: csrf=1"}, true},
		{"absent", []string{"Cookie: a=1"}, false},
		{"no Cookie field", []string{"Accept: csrf=1"}, false},
		{"a longer name", []string{"Cookie: csrf2=1"}, false},
		{"a shorter name", []string{"Cookie: csr=1"}, false},
		{"another case", []string{"Cookie: CSRF=1"}, false},
		{"as a value", []string{"Cookie: a=csrf"}, false},
		{"as part of a value", []string{"Cookie: a=csrf=1"}, false},
		{"perhaps in the quotes of another", []string{`Cookie: a="b; csrf=1; c="`}, false},
		{"perhaps in escaped quotes of another", []string{`Cookie: a="\"; csrf=1; c=\""`}, false},
		{"perhaps a value without a name", []string{"Cookie: csrf"}, false},
		{"after what only some parsers trim", []string{"Cookie: \u00a0csrf=1"}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := httpfield.HasCookie(fields(tt.lines...), "csrf"); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
}

// A reader parses a Cookie line as some backend would: name and value of each cookie.
type reader func(line string) [][2]string

// plainly splits at every ';'.
func plainly(line string) (out [][2]string) {
	for pair := range strings.SplitSeq(line, ";") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			out = append(out, [2]string{strings.Trim(name, " "), strings.Trim(value, " ")})
		}
	}
	return out
}

// quoting takes a ';' within a quoted value for part of it; with escapes, a backslash escapes the
// byte after it there.
func quoting(escapes bool) reader {
	return func(line string) (out [][2]string) {
		for line != "" {
			end := strings.IndexAny(line, ";=")
			if end < 0 {
				break
			}
			name, isPair := strings.Trim(line[:end], " "), line[end] == '='
			line = line[end+1:]
			if !isPair {
				continue
			}
			line = strings.TrimLeft(line, " ")
			i := 0
			if strings.HasPrefix(line, `"`) {
				for i = 1; i < len(line) && line[i] != '"'; i++ {
					if escapes && line[i] == '\\' {
						i++
					}
				}
				i = min(i, len(line))
			}
			if semicolon := strings.IndexByte(line[i:], ';'); semicolon >= 0 {
				i += semicolon
			} else {
				i = len(line)
			}
			out = append(out, [2]string{name, strings.Trim(line[:i], " ")})
			line = strings.TrimPrefix(line[i:], ";")
		}
		return out
	}
}

var readers = map[string]reader{"plain": plainly, "quoting": quoting(false), "quoting with escapes": quoting(true)}

func valuesOf(name string, jar [][2]string) (out []string) {
	for _, c := range jar {
		if c[0] == name {
			out = append(out, c[1])
		}
	}
	return out
}

func TestWhoHasAnotherSessionByAnyReadingHasAnotherID(t *testing.T) {
	i := identifier(t, only("cookie:s"))
	line := rapid.Map(rapid.SliceOfN(rapid.SampledFrom([]string{"s=", "x=", "a", "b", `"`, `\`, ";", ";", "; ", "="}), 0, 9),
		func(parts []string) string { return strings.Join(parts, "") })
	rapid.Check(t, func(t *rapid.T) {
		a := line.Draw(t, "a")
		b := line.Draw(t, "b")
		if at := rapid.IntRange(-1, len(a)-1).Draw(t, "changed at"); at >= 0 { // else b as it was drawn
			b = a[:at] + rapid.SampledFrom([]string{"a", "b", `"`, `\`, ";", ""}).Draw(t, "to") + a[at+1:]
		}
		x, y := i.Identify(fields("Cookie: "+a), now), i.Identify(fields("Cookie: "+b), now)
		if x.ID != y.ID {
			return
		}
		for how, read := range readers {
			if m, n := valuesOf("s", read(a)), valuesOf("s", read(b)); !slices.Equal(m, n) {
				t.Errorf("%s has %q in %q and %q in %q, and they share an ID", how, m, a, n, b)
			}
		}
	})
}

func FuzzCookies(f *testing.F) {
	for _, seed := range [][3]string{
		{"a=1; b=2", "c=3", "b"},
		{`a="x;y"; b=2`, "", "b"},
		{`a="\"; b=2; c=\""`, "b", "b"},
		{"b", " b =1", "b"},
		{"\u00a0b=1", ";;=;", "b"},
		{"=1", "", ""},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, first, second, name string) {
		section := fields()
		section["Cookie"] = []string{first, second}
		for _, c := range []caller.Config{caller.Default(), only("cookie:b", "cookie:*")} {
			if got := who(t, c, "Cookie: "+first, "Cookie: "+second); got.ID == "" {
				t.Errorf("%+v", got)
			}
		}
		if !httpfield.HasCookie(section, name) {
			return
		}
		for how, read := range readers {
			named := func(line string) bool {
				return slices.ContainsFunc(read(strings.ReplaceAll(line, "\t", " ")), func(c [2]string) bool { return c[0] == name })
			}
			if !named(first) && !named(second) {
				t.Errorf("%s finds no %q in %q and %q", how, name, first, second)
			}
		}
	})
}
