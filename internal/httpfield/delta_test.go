package httpfield

import (
	"math/big"
	"regexp"
	"testing"
	"time"
)

func TestParseAge(t *testing.T) { // RFC 9111 §5.1, §1.2.2
	for _, tt := range []struct {
		rule   string
		values []string
		want   time.Duration
		ok     bool
	}{
		{"seconds", []string{"60"}, time.Minute, true},
		{"zero", []string{"0"}, 0, true},
		{"zeros in front", []string{"0060"}, time.Minute, true},
		{"2^31 is the most", []string{"2147483648"}, MaxDelta, true},
		{"more is 2^31", []string{"99999999999999999999999999"}, MaxDelta, true},
		{"of a list, the first", []string{"60, 0"}, time.Minute, true},
		{"of several lines, the first", []string{"60", "7"}, time.Minute, true},
		{"a bad member is passed over", []string{"x, 60"}, time.Minute, true},
		{"a sign is bad", []string{"-60"}, 0, false},
		{"so is a plus", []string{"+60"}, 0, false},
		{"a fraction", []string{"60.0"}, 0, false},
		{"a letter behind", []string{"60s"}, 0, false},
		{"a parameter", []string{"60;a=1"}, 0, false},
		{"quotes", []string{`"60"`}, 0, false},
		{"a space within", []string{"6 0"}, 0, false},
		{"nothing", []string{""}, 0, false},
		{"no line", nil, 0, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got, ok := ParseAge(tt.values); got != tt.want || ok != tt.ok {
				t.Errorf("ParseAge(%q) = %v, %v", tt.values, got, ok)
			}
		})
	}
}

func FuzzParseAge(f *testing.F) {
	for _, s := range []string{
		"0", "60, 0", "x,7", "2147483649", "-1", "\" 1,2", "18446744073709551616", "1 2",
	} {
		f.Add(s)
	}
	number := regexp.MustCompile(`\A[0-9]+\z`)
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseAge([]string{s})
		var want time.Duration
		var wantOK bool
		members, _ := Members([]string{s})
		for _, m := range members {
			if wantOK = number.MatchString(m); wantOK {
				n, _ := new(big.Int).SetString(m, 10)
				want = MaxDelta
				if n.Cmp(big.NewInt(1<<31)) < 0 {
					want = time.Duration(n.Int64()) * time.Second
				}
				break
			}
		}
		if got != want || ok != wantOK {
			t.Fatalf("ParseAge(%q) = %v, %v; naively %v, %v", s, got, ok, want, wantOK)
		}
	})
}
