package httpfield

import "testing"

func TestPlainNames(t *testing.T) {
	for name, want := range map[string]bool{
		"Accept": true, "X-Forwarded-For": true, "Content-Md5": true, "a": true,
		"Z9": true, "": true,
		"X_a": false, "X.a": false, "X a": false, "X\x00": false, "Xé": false, "[": false,
		"`": false, "{": false, "@": false,
	} {
		if got := IsPlainName(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}

func TestHyphenatedIsOneNameForAllThatServersTakeForTheSame(t *testing.T) {
	for _, name := range []string{
		"X-Forwarded-For", "x_forwarded_for", "X.FORWARDED!FOR", "X-Forwarded_for",
	} {
		if got := Hyphenated(name); got != "x-forwarded-for" {
			t.Errorf("%q: %q", name, got)
		}
	}
}
