package httpfield

import (
	"regexp"
	"testing"
)

func TestParseQuoted(t *testing.T) { // RFC 9110 §5.6.4
	for _, tt := range []struct {
		rule, in, want string
		ok             bool
	}{
		{"quotes are no part of the value", `"a b"`, "a b", true},
		{"it may be empty", `""`, "", true},
		{"an escape stands for the byte behind it", `"a\"\\\b"`, `a"\b`, true},
		{"tab and bytes over 127 are allowed", "\"\t\xe9\"", "\t\xe9", true},
		{"an unquoted value is none", "a", "", false},
		{"an open one is none", `"a`, "", false},
		{"an escaped closing quote closes nothing", `"a\"`, "", false},
		{"two are none", `"a""b"`, "", false},
		{"a lone quote is none", `"`, "", false},
		{"control bytes are not allowed", "\"a\x00\"", "", false},
		{"nor escaped", "\"\\\n\"", "", false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got, ok := ParseQuoted(tt.in); got != tt.want || ok != tt.ok {
				t.Errorf("ParseQuoted(%q) = %q, %v", tt.in, got, ok)
			}
		})
	}
}

func FuzzQuoted(f *testing.F) {
	for _, s := range []string{`""`, `"a\"b"`, `"\`, "\"\x7f\"", "a\tb", "\xff"} {
		f.Add(s)
	}
	grammar := regexp.MustCompile(
		`\A"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\x{10ffff}]|\\[\t\x20-\x7e\x80-\x{10ffff}])*"\z`)
	escape := regexp.MustCompile(`(?s)\\(.)`)
	f.Fuzz(func(t *testing.T, s string) {
		value, ok := ParseQuoted(s)
		if ok != grammar.MatchString(s) {
			t.Fatalf("ParseQuoted(%q) = %q, %v", s, value, ok)
		}
		if ok && value != escape.ReplaceAllString(s[1:len(s)-1], "$1") {
			t.Fatalf("ParseQuoted(%q) = %q", s, value)
		}
		if quoted, ok := Quote(s); ok {
			if back, ok := ParseQuoted(quoted); !ok || back != s {
				t.Fatalf("Quote(%q) = %q, which is read as %q, %v", s, quoted, back, ok)
			}
		}
	})
}
