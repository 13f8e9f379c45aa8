package pattern

import (
	"slices"
	"strings"
	"testing"
)

func TestFormsOfAPath(t *testing.T) {
	for path, want := range map[string][]string{
		"/a/b":                  nil,
		"/a/b-c_d~e:f@g":        nil,
		"/v1.2/a":               nil,
		"/":                     nil,
		"/a/":                   {"/a"},
		"/a//":                  {"/a", "/a/"},
		"/c/5.json":             {"/c/5"},
		"/INTERNAL/x":           nil, // compared without regard to case where it is matched
		"/internal;a=b/x":       {"/internal/x"},
		"/a/..;/internal/x":     {"/a/../internal/x", "/internal/x"},
		"/%2569nternal/x":       {"/%69nternal/x", "/internal/x"},
		"/\\internal/x":         {"//internal/x", "/internal/x"},
		"/internal%00/x":        {"/internal", "/internal/x"},
		"/internal./x":          {"/internal/x"},
		"/internal%20/x":        {"/internal/x"},
		"/ internal/x":          {"/internal/x"},
		"/assets/..\\users\\me": {"/assets/../users/me", "/users/me"},
		"//evil/internal/x":     {"/evil/internal/x", "/internal/x"},
		"//evil:80/internal/x":  {"/internal/x"},
		"/\\evil\\internal/x":   {"/internal/x"},
		// new URL of Node takes evil for a host
		"///evil/internal/x":      {"/evil/internal/x", "/internal/x"},
		"/index.php/internal/x":   {"/internal/x"},
		"/a/App.PHP/internal/x":   {"/internal/x"},
		"/(S(abc))/internal/x":    {"/internal/x"}, // a session of ASP.NET
		"/(A(b)S(abc))/c/5":       {"/c/5"},
		"/(abc)/c/5":              {"/(abc)/c/5"},
		"/c/5.x-message_pack":     {"/c/5"},
		"/..%e0%80%afinternal":    {"/internal"},
		"/..%f0%80%80%afinternal": {"/internal"},
		"/%e0%81%89nternal":       {"/Internal"},
		"/%e0%a0%80":              {"/\u0800"},
		"/%2Fevil/internal/x":     {"//evil/internal/x", "/internal/x"},
		"/a\\..\\internal/..;/x":  {"/internal/..;/x", "/internal/../x", "/x"},
		"/%c0%ae%c0%ae/internal":  {"/../internal", "/internal"},
		"/a%c0%af..%c0%afx":       {"/a/../x", "/x"},
		"/%u0069nternal/x":        {"/internal/x"},
		"/internal%2e/x":          {"/internal/x"},
		"/x/%2e%2e/internal":      {"/x/../internal", "/internal"},
		"/internal/.":             {"/internal/", "/internal"},
		"/a//../internal":         {"/internal", "/a/internal"},
		"/a/.%20./internal":       nil, // no server takes ". ." for ".."
		"/in%09ternal/x":          {"/internal/x"},
		"/%25252569nternal/x":     {"/internal/x"},
		"/..%5c..%5cinternal%5cx": {"/internal/x"},
	} {
		got := FormsOf(path).Paths()
		if got[0] != path {
			t.Errorf("%q: the first form is %q", path, got[0])
		}
		for _, form := range want {
			if !slices.Contains(got, form) {
				t.Errorf("%q lacks the form %q: %q", path, form, got)
			}
		}
		if want == nil && len(got) != 1 && path != "/a/.%20./internal" {
			t.Errorf("%q has forms: %q", path, got)
		}
	}
}

// maxWork bounds the cost of any path, in bytes visited: 64 KiB of anything costs less than a
// millisecond.
const maxWork = 512 << 10

// hostile are paths that have many forms, or long ones.
func hostile(length int) map[string]string {
	out := map[string]string{}
	for _, unit := range []string{
		"/", "%2F", "%2f..", "/..", "/.", ";", "/;", "\\", "/\\", "%25", "%2525", "%5c", "/a;b",
		"/.;", "%00", "/a%00", ".", "a.",
		"/A", "/ß", "%c0%af", "%u002f", "//", "/a//b/../", " /", "/%252e%252e;\\", "%", "*", "/a.b",
	} {
		out[unit] = ("/x" + strings.Repeat(unit, length/len(unit)+1))[:length]
	}
	return out
}

func TestTheWorkOnAPathIsBounded(t *testing.T) {
	for _, length := range []int{100, 1000, 5000, 20_000, 64 << 10} {
		for unit, path := range hostile(length) {
			f := FormsOf(path)
			if f.Work > maxWork || len(f.list) > maxForms || f.text > maxText+len(path) {
				t.Errorf("%d bytes of %q: %d bytes visited, %d forms of %d bytes, overflow %t",
					length, unit, f.Work, len(f.list), f.text, f.Overflow)
			}
		}
	}
}

func TestAnOrdinaryLongPathHasItsForms(t *testing.T) {
	path := "/files" + strings.Repeat("/abc", 16_000) + "/x"
	if f := FormsOf(path); f.Overflow || len(f.list) != 1 || f.Work > len(path) {
		t.Errorf("%d forms, overflow %t, %d bytes visited", len(f.list), f.Overflow, f.Work)
	}
}

func TestCanonicalPaths(t *testing.T) {
	for want, paths := range map[string][]string{
		"/c/5": {"/c/5", "/C/5", "/c/5/", "/c//5", "/x/../c/5", "/c;a=b/5", "/%63/5", "/%2563/5",
			"\\c\\5", "/c/5%20", "/c./5", "/c/5%00"},
		"/a":   {"/a", "/a/", "//a", "/../a", "/%61", "/A"},
		"/a/b": {"/a//b", "/a/./b", "/a%2Fb"},
		"/b":   {"/a/../b", "/a%2F..%2Fb"},
		"/%zz": {"/%zz", "/%zz/"},
		"/":    {"/", "//", "/.", "/..", "/a/..", "/%2F"},
		"/É":   {"/é", "/%C3%A9", "/É"},
	} {
		for _, path := range paths {
			if got := Canonical(path); got != want {
				t.Errorf("%q: %q, want %q", path, got, want)
			}
		}
	}
}

// FuzzForms: the forms of any path stay within their bounds, the canonical spelling is one of a
// canonical spelling, and every form has the canonical spelling of some form.
func FuzzForms(f *testing.F) {
	for _, path := range hostile(60) {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		forms := FormsOf(path)
		if forms.Work > maxWork || len(forms.list) > maxForms {
			t.Errorf("%d bytes visited, %d forms", forms.Work, len(forms.list))
		}
		if forms.Overflow || len(path) > 500 {
			return
		}
		all := forms.Canonical()
		for _, form := range forms.Paths() {
			c := Canonical(form)
			if again := Canonical(c); again != c {
				t.Errorf("%q: canonical %q, again %q", form, c, again)
			}
			if !slices.Contains(all, c) {
				t.Errorf("%q: %q is not among %q", path, c, all)
			}
		}
	})
}

func TestAPathThatAllServersReadAlikeHasOneFormAndOneWayToCompareIt(t *testing.T) {
	var plain, folded Matcher[string]
	plain.Add(mustPattern(t, "/a/{b}"), "a")
	folded.Add(mustPattern(t, "/A/{b}"), "a")
	for path, want := range map[string]bool{
		"/a": true, "/a/b-c_1": true, "/a.b/c": true, "/x=(1)": true,
		"/": false, "/a/": false, "//": false, "/A": false, "/a.json": false, "/a%20": false,
		"/a;b": false, "": false,
	} {
		got := plain.ReadsAlike(path)
		if got != want || folded.ReadsAlike(path) {
			t.Errorf("%q: %t", path, got)
		}
		ways := plain.ways(plain.split(path, new(room)))
		if got && (FormsOf(path).Len() != 1 || len(ways) != 1) {
			t.Errorf("%q has the forms %q and %d ways", path, FormsOf(path).Paths(), len(ways))
		}
	}
}
