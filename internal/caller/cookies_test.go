package caller_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sidecar/internal/caller"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

// TestWhichCookiesAreTheSameSession: with cookie:session alone as credential.
func TestWhichCookiesAreTheSameSession(t *testing.T) {
	for _, tt := range []struct {
		rule string
		a, b string
		same bool
	}{
		{"a quoted value is another", `session="a"`, `session=a`, false},
		{"another cookie's quotes hide nothing", `session="a"; x="1"`, `session="a"; x="2"`, true},
		{"of several cookies of one name all count", "session=1; session=2",
			"session=1; session=3", false},
		{"the first as well", "session=2; session=1", "session=3; session=1", false},
		{"in their order", "session=1; session=2", "session=2; session=1", false},
		{"and each time", "session=1; session=1", "session=1", false},
		{"space around the pair says nothing", " session=1 ;x=2", "session=1", true},
		{"'=' within the value is the value", "session=a=b", "session=a", false},
		{"values are case-sensitive", "session=a", "session=A", false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			a, b := who(t, only("cookie:session"), "Cookie: "+tt.a),
				who(t, only("cookie:session"), "Cookie: "+tt.b)
			if a.Anonymous || b.Anonymous || a.ID == "" || b.ID == "" {
				t.Fatalf("%+v, %+v", a, b)
			}
			if (a.ID == b.ID) != tt.same {
				t.Errorf("same %v, want %v", a.ID == b.ID, tt.same)
			}
		})
	}
}

// TestACookieFieldThatServersReadDifferentlyBypasses: RFC 6265 §4.2.1 would not write it.
func TestACookieFieldThatServersReadDifferentlyBypasses(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		lines []string
	}{
		{"a comma for a separator", []string{"Cookie: csrf_x=1, session=a"}},
		{"without a space", []string{"Cookie: csrf_x=1,session=a"}},
		{"a space for a separator", []string{"Cookie: csrf_x=1 session=a"}},
		{"a tab for a separator", []string{"Cookie: csrf_x=1\tsession=a"}},
		{"a tab after the separator", []string{"Cookie: csrf_x=1;\tsession=a"}},
		{"a comma within a value", []string{"Cookie: session=a,b"}},
		{"a space within a value", []string{"Cookie: session=a b"}},
		{"a name in other letters", []string{"Cookie: SESSION=a"}},
		{"a name in other letters beside the right one", []string{"Cookie: session=a; Session=b"}},
		{"a percent-encoded name", []string{"Cookie: sessio%6e=a"}},
		{"one in other letters", []string{"Cookie: sessio%4E=a"}},
		{"a name with other punctuation", []string{"Cookie: .session=a"}},
		{"a name that PHP reads as a list", []string{"Cookie: session[]=a"}},
		{"a name in quotes", []string{`Cookie: "session"=a`}},
		{"a name with a space after it", []string{"Cookie: session =a"}},
		{"a name that some servers trim", []string{"Cookie: \xa0session=a"}},
		{"a value that some servers trim", []string{"Cookie: session=a\u00a0"}},
		{"a space before the value", []string{"Cookie: session= a"}},
		{"an attribute of RFC 2965", []string{`Cookie: $Version=1; session=a`}},
		{"';' in quotes", []string{`Cookie: csrf_x="1; session=a"`}},
		{"quotes that do not close", []string{`Cookie: csrf_x="1; session=a`}},
		{"one quote within quotes", []string{`Cookie: csrf_x="1"2"`}},
		{"an escape in quotes", []string{`Cookie: csrf_x="\"1"; session=a`}},
		{"a lone quote", []string{`Cookie: csrf_x="`}},
		{"a backslash", []string{`Cookie: csrf_x=a\b`}},
		{"raw JSON in the credential itself", []string{`Cookie: session={"a":1}`}},
		{"raw JSON that has its name", []string{`Cookie: x={"session":1}; session=a`}},
		{"raw JSON that has its name percent-encoded",
			[]string{`Cookie: x={"a":1,%73ession=b}; session=a`}},
		{"raw JSON with an escape", []string{`Cookie: x={"a":"\""}; session=a`}},
		{"a second line", []string{"Cookie: csrf_x=1", "Cookie: session=a"}},
		{"a second line, empty", []string{"Cookie: session=a", "Cookie: "}},
		{"a control byte", []string{"Cookie: csrf_x=1\x01"}},
		{"NUL", []string{"Cookie: csrf_x=1\x00session=a"}},
		{"DEL", []string{"Cookie: csrf_x=\x7f"}},
		{"a pair without '='", []string{"Cookie: csrf_x"}},
		{"a pair without a name", []string{"Cookie: =a"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			named := who(t, only("cookie:session"), tt.lines...)
			if named.Bypass != reason.UnclearCredential || named.ID != "" {
				t.Errorf("%+v", named)
			}
			if got := who(t, only("header:Authorization"), tt.lines...); got.Bypass != "" ||
				!got.Anonymous {
				t.Errorf("where no cookie is a credential: %+v", got)
			}
		})
	}
}

// Google's sign-in sets g_state in raw JSON.
func TestACookieOfRawJSONLeavesItsCallerCertain(t *testing.T) {
	const g = `g_state={"i_l":0,"i_ll":1764158400000,"i_b":"q7/x+=","i_e":{"a":0}}`
	for _, c := range []caller.Config{only("cookie:session"), caller.Default()} {
		ids := map[string]string{}
		for _, line := range []string{
			"session=a", "session=b",
			"session=a; " + g, g + "; session=a", "session=b; " + g, // some servers stop at g_state
			"session=a; " + strings.Replace(g, "0", "1", 1), `session=a; x=café`,
			"session=a; x=1 2", `session=a; x=1"2"`,
		} {
			got := who(t, c, "Cookie: "+line)
			if got.Bypass != "" || got.Anonymous || got.ID == "" {
				t.Errorf("%q: %+v", line, got)
			}
			if other, known := ids[got.ID]; known {
				t.Errorf("%q and %q share an ID", line, other)
			}
			ids[got.ID] = line
		}
	}
	if got := who(t, only("cookie:session"), "Cookie: "+g); got.Bypass != "" || !got.Anonymous {
		t.Errorf("without the credential: %+v", got)
	}
	a, b := who(t, caller.Default(), "Cookie: "+g+"; session=a; csrf_x=1"),
		who(t, caller.Default(), "Cookie: "+g+"; csrf_x=2; session=a")
	if a.ID != b.ID {
		t.Error("an ignored cookie in form tells callers apart")
	}
}

// Some servers read no token from such a line: it counts for tags, and proves nothing.
func TestATokenBesideARawCookieIsNotVerified(t *testing.T) {
	c := withSecret()
	c.Credentials = only("cookie:session").Credentials
	token := "session=" + hs256(t, `{"sub":"7"}`)
	clear, raw := who(t, c, "Cookie: "+token), who(t, c, "Cookie: "+token+`; g_state={"i_l":0}`)
	if !clear.Verified || raw.Verified || raw.Bypass != "" || raw.Claims["sub"] != "7" ||
		raw.ID == clear.ID {
		t.Errorf("%+v, beside a raw cookie %+v", clear, raw)
	}
}

// Python's http.cookies reads no cookie at all where the first one is named like an attribute.
func TestATokenBehindACookieNamedLikeAnAttributeIsNotVerified(t *testing.T) {
	c := withSecret()
	c.Credentials = only("cookie:session").Credentials
	token := "session=" + hs256(t, `{"sub":"7"}`)
	clear := who(t, c, "Cookie: "+token)
	for _, name := range []string{"path", "Path", "domain", "expires", "max-age", "Version",
		"comment", "secure",
		"httponly", "SameSite", "partitioned"} {
		got := who(t, c, "Cookie: "+name+"=x; "+token)
		if got.Verified || got.Bypass != "" || got.ID == clear.ID || got.ID == "" {
			t.Errorf("behind %s: %+v", name, got)
		}
		if behind := who(t, c, "Cookie: "+token+"; "+name+"=x"); !behind.Verified ||
			behind.ID != clear.ID {
			t.Errorf("before %s: %+v", name, behind)
		}
	}
}

// PHP reads no more than 1,000 cookies, Tomcat 200: the credential may be among the others.
func TestMoreCookiesThanBrowsersKeepBypass(t *testing.T) {
	for n, want := range map[int]reason.Reason{
		179: "", 180: reason.UnclearCredential, 1000: reason.UnclearCredential,
	} {
		line := "Cookie: " + strings.Repeat("a=1; ", n) + "session=a"
		if got := who(t, only("cookie:session"), line); got.Bypass != want {
			t.Errorf("%d before it: %+v", n, got)
		}
	}
}

func TestAnIgnoredCookieInAnotherFormBypasses(t *testing.T) {
	for _, line := range []string{
		"csrf_x=1, session=a", `csrf="a;b"`, "csrf_x=1 session=a", "csrf",
	} {
		if got := who(t, caller.Default(),
			"Cookie: "+line); got.Bypass != reason.UnclearCredential {
			t.Errorf("%q: %+v", line, got)
		}
	}
}

func TestCookiesOfBrowsersAreClear(t *testing.T) {
	for _, line := range []string{
		"session=a",
		"session=",
		`session="quoted"`,
		`session=""`,
		"session=YWJjZA==",
		"session=s%3Aq2.9+/x",
		"session=a; theme=dark",
		"session=a;theme=dark",
		"session=a; ",
		"session=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2ln-_",
		"__Host-session=a; __Secure-x=b; session=c",
		"prefs=%7B%22a%22%3A1%2C%22b%22%3A%5B2%5D%7D; session=a",
		"_ga=GA1.1.1234567890.1700000000; _ga_ABC123=GS1.1.1700000000.1.1.1700000001.0.0.0; session=a",
		"_gid=GA1.2-3|4; amp_1a2b=x.y-z...1h; session=a",
		"OptanonConsent=isGpcEnabled=0&datestamp=Thu+Nov+26+2026&groups=C0001%3A1%2CC0002%3A0; session=a",
		"_pk_id.1.1fff=0f0e.1700000000.; session=a",
		"wordpress_logged_in_5f4d=admin%7C1700000000%7Cx; session=a",
		"sid=s:abc.def(1)*!~'; session=[1]{2}<3>@4?5",
		"csrf_session=a; session2=b; session=c",
	} {
		for _, c := range []caller.Config{only("cookie:session"), caller.Default()} {
			if got := who(t, c, "Cookie: "+line); got.Bypass != "" ||
				got.Anonymous || got.ID == "" {
				t.Errorf("%q: %+v", line, got)
			}
		}
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
		{"in a second line", []string{"Cookie: a=1", "Cookie: csrf=1"}, false},
		{"with quotes that close", []string{`Cookie: a="b"; csrf="1"`}, true},
		{"with space before '='", []string{"Cookie: csrf =1"}, false},
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

var readers = map[string]reader{
	"plain": plainly, "quoting": quoting(false), "quoting with escapes": quoting(true),
}

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
	line := rapid.Map(rapid.SliceOfN(
		rapid.SampledFrom([]string{"s=", "x=", "a", "b", `"`, `\`, ";", ";", "; ", "="}), 0, 9),
		func(parts []string) string { return strings.Join(parts, "") })
	rapid.Check(t, func(t *rapid.T) {
		a := line.Draw(t, "a")
		b := line.Draw(t, "b")
		// else b as it was drawn
		if at := rapid.IntRange(-1, len(a)-1).Draw(t, "changed at"); at >= 0 {
			b = a[:at] + rapid.SampledFrom([]string{"a", "b", `"`, `\`, ";", ""}).Draw(t, "to") +
				a[at+1:]
		}
		x, y := i.Identify(fields("Cookie: "+a), now), i.Identify(fields("Cookie: "+b), now)
		if x.ID != y.ID || x.ID == "" {
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
			if got := who(t, c, "Cookie: "+first,
				"Cookie: "+second); (got.ID == "") != (got.Bypass == reason.UnclearCredential) {
				t.Errorf("%+v", got)
			}
		}
		if !httpfield.HasCookie(section, name) {
			return
		}
		for how, read := range readers {
			named := func(line string) bool {
				return slices.ContainsFunc(read(strings.ReplaceAll(line, "\t", " ")),
					func(c [2]string) bool { return c[0] == name })
			}
			if !named(first) && !named(second) {
				t.Errorf("%s finds no %q in %q and %q", how, name, first, second)
			}
		}
	})
}
