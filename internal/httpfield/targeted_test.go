package httpfield

import (
	"reflect"
	"testing"
	"time"
)

func TestTargetedCacheControl(t *testing.T) { // RFC 9213 §2.1
	seconds := func(n int) Delta { return Delta{Value: time.Duration(n) * time.Second, Set: true} }
	for _, tt := range []struct {
		rule  string
		lines []string
		want  Directives // but Present
	}{
		{"every directive without an argument is a boolean",
			[]string{"must-revalidate, must-understand, no-cache, no-store, no-transform, " +
				"private, proxy-revalidate, public, immutable=?1"},
			Directives{MustRevalidate: true, MustUnderstand: true, NoCache: true, NoStore: true,
				NoTransform: true, Private: true,
				ProxyRevalidate: true, Public: true, Immutable: true}},
		{"every directive with a number is an integer",
			[]string{"max-age=1, s-maxage=2, stale-while-revalidate=5, stale-if-error=6"},
			Directives{MaxAge: seconds(1), SMaxAge: seconds(2), StaleWhileRevalidate: seconds(5),
				StaleIfErr: seconds(6)}},
		{"lines are one dictionary", []string{"no-store", "max-age=5"},
			Directives{NoStore: true, MaxAge: seconds(5)}},
		{"a number over 2^31 is 2^31 (RFC 9111 §1.2.2)", []string{"max-age=999999999999999"},
			Directives{MaxAge: Delta{MaxDelta, true}}},
		{"zero is a number", []string{"max-age=0, s-maxage=-0"},
			Directives{MaxAge: seconds(0), SMaxAge: seconds(0)}},
		{"unknown directives are ignored (§2.2), but the field is there",
			[]string{"none"}, Directives{}},
		{"so are directives of requests",
			[]string{"only-if-cached, max-stale, min-fresh=5"}, Directives{}},
		{"parameters are ignored", []string{"max-age=5;max-age=7, public;no-store"},
			Directives{MaxAge: seconds(5), Public: true}},
		{"of two the last counts (RFC 9651 §3.2)",
			[]string{"max-age=5, max-age=7", "public, public=?0"}, Directives{MaxAge: seconds(7)}},
		{"and though it is of the wrong type",
			[]string{"max-age=5, max-age=tomorrow"}, Directives{}},

		{"no-cache and private may be strings that name fields",
			[]string{`no-cache="set-cookie, x-a", private="x-b"`},
			Directives{NoCacheFields: []string{"Set-Cookie", "X-A"},
				PrivateFields: []string{"X-B"}}},
		{"no names are the whole", []string{`no-cache="", private=" , "`},
			Directives{NoCache: true, Private: true}},
		{"bad names are the whole", []string{`no-cache="a b", private="a;b"`},
			Directives{NoCache: true, Private: true}},

		{"a decimal is no integer", []string{"max-age=5.0, public"}, Directives{Public: true}},
		{"a string is none", []string{`max-age="5", public`}, Directives{Public: true}},
		{"nor is a token, a date, a boolean, a list",
			[]string{"max-age=a, s-maxage=@5, stale-if-error, stale-while-revalidate=(5), public"},
			Directives{Public: true}},
		{"a negative number is no delta-seconds", []string{"max-age=-5, public"},
			Directives{Public: true}},
		{"a false directive is not there", []string{"no-store=?0, no-cache=?0, private=?0, public"},
			Directives{Public: true}},
		{"nor is one with a value where none is defined",
			[]string{`no-store=1, must-revalidate="x", no-cache=5, private=x-b, public`},
			Directives{Public: true}},
		{"nor one with a byte sequence", []string{"no-store=:YQ==:, public"},
			Directives{Public: true}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			tt.want.Present = true
			if got, ok := TargetedCacheControl(tt.lines); !ok || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("TargetedCacheControl(%q)\n got %+v, %v\nwant %+v",
					tt.lines, got, ok, tt.want)
			}
		})
	}
}

func TestATargetedFieldThatDoesNotCount(t *testing.T) { // RFC 9213 §2.1
	for _, tt := range []struct {
		rule  string
		lines []string
	}{
		{"absent", nil},
		{"empty", []string{""}},
		{"invalid, and so ignored with all that is valid in it",
			[]string{"no-store", "max-age=10000, &&&&&"}},
		{"in Cache-Control's upper case", []string{"Max-Age=5"}},
		{"with Cache-Control's empty members", []string{"no-store, , max-age=5"}},
		{"with Cache-Control's single quotes", []string{"max-age='5'"}},
		{"with a semicolon for a comma", []string{"no-store; max-age = 5"}},
		{"a list", []string{`"no-store"`}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got, ok := TargetedCacheControl(tt.lines); ok ||
				!reflect.DeepEqual(got, Directives{}) {
				t.Errorf("TargetedCacheControl(%q) = %+v, %v", tt.lines, got, ok)
			}
		})
	}
}

func FuzzTargetedCacheControl(f *testing.F) {
	for _, s := range []string{
		"max-age=5, no-store", `private="a, b"`, "max-age=5.0, public", "no-cache=?0;x=(",
		"s-maxage=-1, max-age=99999999999999", "none", "", "must-understand, private=:YQ==:",
		`a=%"\", no-store`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, ok := TargetedCacheControl([]string{s})
		if _, valid := parseDictionary([]string{s}); ok != valid || d.Present != ok {
			t.Fatalf("TargetedCacheControl(%q) = %+v, %v", s, d, ok)
		}
		for _, v := range []Delta{d.MaxAge, d.SMaxAge, d.StaleWhileRevalidate, d.StaleIfErr} {
			if v.Value < 0 || v.Value > MaxDelta || !v.Set && v.Value != 0 {
				t.Fatalf("TargetedCacheControl(%q) = %+v", s, d)
			}
		}
		if d.Broken || d.OnlyIfCached || d.MaxStaleAny || d.MinFresh.Set || d.MaxStale.Set {
			t.Fatalf("TargetedCacheControl(%q) = %+v", s, d)
		}
		// A targeted field means the same as Cache-Control with its value, if it can be read for
		// certain.
		cc := ParseCacheControl([]string{s})
		if !cc.Broken &&
			(d.NoStore && !cc.NoStore || d.NoCache && !cc.NoCache || d.Private && !cc.Private ||
				d.MaxAge.Set && !cc.MaxAge.Set) {
			t.Fatalf("%q: targeted %+v, plain %+v", s, d, cc)
		}
	})
}
