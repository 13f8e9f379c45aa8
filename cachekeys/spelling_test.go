package cachekeys

import (
	"strconv"
	"strings"
	"testing"
)

func TestSpellingsOfNumbersAndUUIDs(t *testing.T) {
	const id = "550e8400-e29b-41d4-a716-446655440000"
	for want, values := range map[string][]string{
		"5": {
			"5", "05", "0005", "+5", " 5", "5 ", "5\t", "5.0", "5.", "5.json", "5.0.json", "5e0",
			"50e-1", "0x5", "٥", "５", "5\x00", "5;v=1",
			"\u00a05",
		},
		"-5":   {"-5", "-05", "-5.00"},
		"0":    {"0", "-0", "00", "0.0"},
		"5.5":  {"5.5", "05.50", "5.5.xml"},
		"1000": {"1000", "1_000", "1e3"},
		"": {"abc", "5abc", "5-best-tips", "1.2.3.4", "", "-", "+",
			".", "e5", "12:30", "2024-01-01", "5.7z", "0xg", "1e999", "five", "½", "123e4567-e89b"},
		"123456789012345678901234567890": {"123456789012345678901234567890",
			"0123456789012345678901234567890"},
		id: {
			id, strings.ToUpper(id), strings.ReplaceAll(id, "-", ""), "{" + id + "}",
			"urn:uuid:" + id, "(" + id + ")", id + ".json", " " + id,
			"URN:UUID:" + strings.ToUpper(id),
		},
	} {
		for _, v := range values {
			if got, read := canonical(v); got != want || read != (want != "") {
				t.Errorf("%q: %q, %t, want %q", v, got, read, want)
			}
		}
	}
}

func TestFilters(t *testing.T) {
	for _, c := range []struct {
		filter     Filter
		value      string
		want       string
		unfillable bool
	}{
		{AsIs, "A5", "A5", false},
		{Lower, "A5", "a5", false},
		{Int, "05", "5", false},
		{Int, "5.0", "5", false},
		{Int, "5.5", "", true},
		{Int, "abc", "", true},
		{UUID, "550E8400E29B41D4A716446655440000", "550e8400-e29b-41d4-a716-446655440000", false},
		{UUID, "5", "", true},
	} {
		got, ok := c.filter.apply(c.value)
		if ok == c.unfillable || ok && got != c.want {
			t.Errorf("%d of %q: %q, %t", c.filter, c.value, got, ok)
		}
	}
}

// FuzzCanonical: a canonical spelling is its own, and a number that encoding/json would print is
// read as it is.
func FuzzCanonical(f *testing.F) {
	for _, v := range []string{
		"05", "5.0.json", "1e3", "{550e8400-e29b-41d4-a716-446655440000}", "٥", "0x5", "-0",
	} {
		f.Add(v, int64(7))
	}
	f.Fuzz(func(t *testing.T, value string, n int64) {
		if text, read := canonical(value); read {
			if again, read := canonical(text); !read || again != text {
				t.Errorf("%q: %q, again %q", value, text, again)
			}
		}
		decimal := strconv.FormatInt(n, 10)
		if text, read := canonical(decimal); !read || text != decimal {
			t.Errorf("%s is read as %q, %t", decimal, text, read)
		}
	})
}
