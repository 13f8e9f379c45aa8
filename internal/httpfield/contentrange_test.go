package httpfield

import (
	"fmt"
	"testing"
)

func TestContentRange(t *testing.T) { // RFC 9110 §14.4
	for _, tt := range []struct {
		rule   string
		values []string
		want   ContentRange
		ok     bool
	}{
		{"some bytes", []string{"bytes 0-499/1234"}, ContentRange{0, 499, 1234}, true},
		{"one byte", []string{"bytes 0-0/1"}, ContentRange{0, 0, 1}, true},
		{"units are case-insensitive", []string{"Bytes 1-2/3"}, ContentRange{1, 2, 3}, true},
		{"all of it", []string{"bytes 0-2/3"}, ContentRange{0, 2, 3}, true},
		{"none", nil, ContentRange{}, false},
		{"twice", []string{"bytes 0-2/3", "bytes 0-2/3"}, ContentRange{}, false},
		{"a length that is unknown", []string{"bytes 0-2/*"}, ContentRange{}, false},
		{"not satisfied", []string{"bytes */3"}, ContentRange{}, false},
		{"another unit", []string{"lines 0-2/3"}, ContentRange{}, false},
		{"no unit", []string{"0-2/3"}, ContentRange{}, false},
		{"backwards", []string{"bytes 2-1/3"}, ContentRange{}, false},
		{"beyond the end", []string{"bytes 0-3/3"}, ContentRange{}, false},
		{"signs", []string{"bytes +0-2/3"}, ContentRange{}, false},
		{"spaces", []string{"bytes  0-2/3"}, ContentRange{}, false},
		{"spaces within", []string{"bytes 0 - 2/3"}, ContentRange{}, false},
		{"more than a number holds", []string{"bytes 0-2/99999999999999999999"},
			ContentRange{}, false},
		{"cut", []string{"bytes 0-2"}, ContentRange{}, false},
		{"nothing", []string{""}, ContentRange{}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got, ok := ParseContentRange(tt.values); got != tt.want || ok != tt.ok {
				t.Errorf("%+v, %v", got, ok)
			}
		})
	}
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{
		"bytes 0-499/1234", "bytes */1",
		"bytes 9223372036854775805-9223372036854775805/9223372036854775806", "bytes -1-2/3",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, ok := ParseContentRange([]string{s})
		if !ok {
			return
		}
		if r.First < 0 || r.First > r.Last || r.Last >= r.Total {
			t.Fatalf("%q: %+v", s, r)
		}
		if again, ok := ParseContentRange(
			[]string{fmt.Sprintf("bytes %d-%d/%d", r.First, r.Last, r.Total)}); !ok || again != r {
			t.Fatalf("%q: %+v, and again %+v", s, r, again)
		}
	})
}
