package cachekeys_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sidecar/cachekeys"
)

func TestEscapingIsInjectiveAndLeavesNothingThatSeparates(t *testing.T) {
	value := rapid.StringMatching(`[a%:*#~\x00-\x1f0-9A-F]{0,60}`)
	rapid.Check(t, func(t *rapid.T) {
		a, b := value.Draw(t, "a"), value.Draw(t, "b")
		x, y := cachekeys.Escape(a), cachekeys.Escape(b)
		if (x == y) != (a == b) {
			t.Fatalf("%q and %q become %q and %q", a, b, x, y)
		}
		if strings.ContainsAny(x, ":*#\x00\n") || len(x) > 128 {
			t.Fatalf("%q becomes %q", a, x)
		}
	})
}

func TestALongValueIsHashed(t *testing.T) {
	long, longer := cachekeys.Escape(strings.Repeat("a", 129)),
		cachekeys.Escape(strings.Repeat("a", 130))
	if len(long) > 128 || long == longer || !strings.HasPrefix(long, "%~") {
		t.Errorf("%q, %q", long, longer)
	}
}

func TestTagsOfDifferentKindsNeverMeet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tags := func(s string) []cachekeys.Tag {
			return []cachekeys.Tag{
				cachekeys.Named(s), cachekeys.Family(s), cachekeys.Guard(s), cachekeys.OwnURI(s),
			}
		}
		a, b := text.Draw(t, "a"), text.Draw(t, "b")
		for i, x := range tags(a) {
			for j, y := range tags(b) {
				if (x.Digest() == y.Digest()) != (i == j && a == b) {
					t.Fatalf("%v and %v", x, y)
				}
			}
			if x.Digest() == cachekeys.All.Digest() {
				t.Fatalf("%v is the tag of everything", x)
			}
		}
	})
}

func TestATagIsReadAsPeopleWriteIt(t *testing.T) {
	for s, want := range map[string]cachekeys.Tag{
		"character:42": cachekeys.Named("character:42"),
		"character:*":  cachekeys.Family("character:"), "*": cachekeys.Family(""),
	} {
		if got, ok := cachekeys.ParseTag(s); !ok || got != want || got.String() != s {
			t.Errorf("%q is %#v, %t", s, got, ok)
		}
	}
	for _, s := range []string{"", "a*b", "**", "a\nb", "a\x7f"} {
		if got, ok := cachekeys.ParseTag(s); ok {
			t.Errorf("%q is %v", s, got)
		}
	}
}

func TestARememberedTagIsReadBack(t *testing.T) {
	for _, tag := range []cachekeys.Tag{
		cachekeys.Named("a:1"), cachekeys.Family("a:"), cachekeys.Guard("a:"), cachekeys.Guard(""),
		cachekeys.Surrogate("api.example", "a"),
	} {
		if got, ok := cachekeys.UnmarshalTag(tag.Marshal()); !ok || got != tag {
			t.Errorf("%v comes back as %v, %t", tag, got, ok)
		}
	}
	for _, s := range []string{
		"", "t", "xa", cachekeys.All.Marshal(), cachekeys.OwnURI("/a").Marshal(),
	} {
		if got, ok := cachekeys.UnmarshalTag(s); ok {
			t.Errorf("%q is %v", s, got)
		}
	}
}

func TestAWriteDeletesTheGuardOfEveryPrefixUnderWhichANameMayBeUnknown(t *testing.T) {
	got := cachekeys.Named("user:7:sheet:x").Guards([]string{"user:7:sh", "other:"})
	for _, prefix := range []string{"", "user:", "user:7:", "user:7:sheet:", "user:7:sh"} {
		if !slices.Contains(got, cachekeys.Guard(prefix)) {
			t.Errorf("no guard of %q in %v", prefix, got)
		}
	}
	if slices.Contains(got, cachekeys.Guard("other:")) || len(got) != 5 {
		t.Errorf("too many: %v", got)
	}
}
