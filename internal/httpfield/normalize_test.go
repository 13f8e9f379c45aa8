package httpfield

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSelecting(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		name   string
		values []string
		want   []string
	}{
		{"an absent field is nil (RFC 9110 §12.5.3)", "Accept-Encoding", nil, nil},
		{"no lines are none", "X-A", []string{}, nil},
		{"an empty one is not (§12.5.3)", "Accept-Encoding", []string{""}, []string{""}},
		{"nor is an empty one of which nothing is known", "X-A", []string{" "}, []string{""}},

		{"white space around commas means nothing (§5.6.1)", "X-A", []string{" a ,\tb,c d "},
			[]string{"a", "b", "c d"}},
		{"nor does the number of lines (§5.3)", "X-A", []string{"a", "b,c d"},
			[]string{"a", "b", "c d"}},
		{"case may mean something", "X-A", []string{"A,a"}, []string{"A", "a"}},
		{"so may weights", "X-A", []string{"a;q=0.50, b"}, []string{"a;q=0.50", "b"}},
		{"and an empty member", "X-A", []string{"a,,b", ""}, []string{"a", "", "b", ""}},
		{"a quoted-string is not touched (§5.6.4)", "X-A", []string{`"a, b" , "\" ,"`},
			[]string{`"a, b"`, `"\" ,"`}},
		{"an open one lets nothing be touched but the ends of lines", "X-A",
			[]string{" a, b ", `c, "d, e `}, []string{"a, b", `c, "d, e`}},
		{"nor one that another line closes", "X-A", []string{`"a`, `b"`}, []string{`"a`, `b"`}},

		{"dates are no lists (§5.6.7)", "If-Modified-Since",
			[]string{" Sun, 06 Nov 1994 08:49:37 GMT"}, []string{"Sun, 06 Nov 1994 08:49:37 GMT"}},
		{"nor are comments (§10.1.5)", "User-Agent", []string{"a/1 (b, c)"},
			[]string{"a/1 (b, c)"}},
		{"nor URIs (§10.1.3)", "Referer", []string{"/a, b"}, []string{"/a, b"}},
		{"nor cookies (RFC 6265 §5.4), line by line", "Cookie", []string{"a=1, 2 ", "b=3"},
			[]string{"a=1, 2", "b=3"}},
		{"nor credentials (§11.6.2)", "Authorization", []string{"Digest a=b ,c=d"},
			[]string{"Digest a=b ,c=d"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			given := slices.Clone(tt.values)
			got := Selecting(tt.name, tt.values)
			if !slices.Equal(got, tt.want) || (got == nil) != (tt.want == nil) {
				t.Errorf("Selecting(%s, %q) = %q, want %q", tt.name, tt.values, got, tt.want)
			}
			if !slices.Equal(given, tt.values) {
				t.Errorf("%q was changed to %q", given, tt.values)
			}
		})
	}
}

// drawLines draws field lines that are often alike, and often faulty.
func drawLines(t *rapid.T, label string) []string {
	return rapid.SliceOfN(rapid.StringMatching(`[ab ,"\\]{0,6}`), 0, 3).Draw(t, label)
}

// naiveMeaning is the meaning of an unknown field's lines, in one string.
func naiveMeaning(lines []string) string {
	const quoted = `"(?:[^"\\]|\\.)*"`
	closed := regexp.MustCompile(`(?s)\A(?:[^"]|` + quoted + `)*\z`)
	form := "list"
	for _, line := range lines {
		if !closed.MatchString(line) {
			form = "lines"
		}
	}
	if len(lines) == 0 {
		form = "absent"
	}
	if form != "list" {
		for i := range lines {
			lines[i] = strings.Trim(lines[i], " \t")
		}
		return form + "\x00" + strings.Join(lines, "\x00")
	}
	// White space beside a comma, or at an end, is dropped; a comma becomes \x00.
	joined := regexp.MustCompile(`(?s)`+quoted+`|[ \t]*,[ \t]*|[ \t]+\z`).
		ReplaceAllStringFunc(strings.Join(lines, ","), func(s string) string {
			switch {
			case s[0] == '"':
				return s
			case strings.Contains(s, ","):
				return "\x00"
			}
			return ""
		})
	return form + "\x00" + strings.TrimLeft(joined, " \t")
}

func TestFieldsOfWhichNothingIsKnownAreAlikeIfAndOnlyIfTheyMeanTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawLines(t, "a"), drawLines(t, "b")
		alike := slices.Equal(Selecting("X-A", a), Selecting("X-A", b))
		if alike != (naiveMeaning(slices.Clone(a)) == naiveMeaning(slices.Clone(b))) {
			t.Fatalf("%q and %q: %q and %q", a, b, Selecting("X-A", a), Selecting("X-A", b))
		}
	})
}

func TestAnOpenQuoteIsLikeNothingButItself(t *testing.T) {
	open := func(lines []string) bool {
		_, ok := allMembers(lines)
		return !ok
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"X-A", "Accept", "Accept-Encoding"}).Draw(t, "name")
		a, b := drawLines(t, "a"), drawLines(t, "b")
		if !open(a) || !slices.Equal(Selecting(name, a), Selecting(name, b)) {
			return
		}
		if !slices.Equal(trimmed(a), trimmed(b)) {
			t.Fatalf("%q and %q are both %q", a, b, Selecting(name, a))
		}
	})
}

func TestSelectingWhatMostRequestsSendAllocatesNothing(t *testing.T) {
	for name, values := range map[string][]string{
		"Accept-Encoding": {"gzip"}, "Accept-Language": {"de-at"},
		"Accept": {"application/ld+json"}, "X-Tenant": {"a_1"},
		"Origin":     {"https://a.example"},
		"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64), so to speak"}, "X-Absent": nil,
	} {
		if n := testing.AllocsPerRun(100, func() { Selecting(name, values) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	for name, values := range map[string][]string{
		"X-Tenant": {"A 1"}, "Accept-Language": {"de"}, "Origin": {" a "},
	} {
		if n := testing.AllocsPerRun(100, func() { Selecting(name, values) }); n > 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzSelecting(f *testing.F) {
	names := []string{
		"X-A", "Cookie", "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language",
	}
	for i, s := range [][2]string{
		{"a, b", ""}, {"a=1, 2 ", "b"}, {`text/html;level=1;q=0.50, a/b;c="d, e"`, "*/*;q=0"},
		{"utf-8;q=1.000", "*;q=0.0"}, {"x-gzip, gzip;q=0", ""}, {"de-AT,en;q=0.8", ",en;q=2"},
		{`"a`, `b"`}, {",,", " "}, {",\"", "0"}, {"x-gzip", "a;;q=0.1"},
	} {
		f.Add(byte(i), s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, which byte, one, two string) {
		name := names[int(which)%len(names)]
		for _, lines := range [][]string{{one}, {one, two}} {
			got := Selecting(name, lines)
			if len(got) == 0 {
				t.Fatalf("Selecting(%s, %q) is absent", name, lines)
			}
			if again := Selecting(name, got); !slices.Equal(again, got) {
				t.Fatalf("Selecting(%s, %q) = %q, and %q of it", name, lines, got, again)
			}
			if padded := Selecting(name, []string{" \t" + one + "\t "}); len(lines) == 1 &&
				!slices.Equal(padded, got) {
				t.Fatalf("Selecting(%s, %q) = %q, and %q with white space around",
					name, lines, got, padded)
			}
		}
		if _, ok := allMembers([]string{one, two}); ok && !isSingle(name) {
			if !slices.Equal(Selecting(name, []string{one, two}),
				Selecting(name, []string{one + " ,\t" + two})) {
				t.Fatalf("%s: %q in two lines and in one", name, []string{one, two})
			}
		}
	})
}
