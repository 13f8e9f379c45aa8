package httpfield

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

var testNow = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

func TestParseDate(t *testing.T) { // RFC 9110 §5.6.7
	at := func(year int, month time.Month, day, hour, minute, second int) time.Time {
		return time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	}
	classic := at(1994, 11, 6, 8, 49, 37)
	for _, tt := range []struct {
		rule, in string
		want     time.Time // zero: not a date
	}{
		{"IMF-fixdate", "Sun, 06 Nov 1994 08:49:37 GMT", classic},
		{"rfc850-date", "Sunday, 06-Nov-94 08:49:37 GMT", classic},
		{"asctime-date with a padded day", "Sun Nov  6 08:49:37 1994", classic},
		{"asctime-date with two digits of day", "Wed Nov 16 08:49:37 1994",
			at(1994, 11, 16, 8, 49, 37)},
		{"asctime-date with a zero before the day", "Sun Nov 06 08:49:37 1994", classic},
		{"a day name that is not the date's is let pass", "Thu Aug  8 02:01:18 2050",
			at(2050, 8, 8, 2, 1, 18)},
		{"a leap second is the second after", "Sat, 31 Dec 2016 23:59:60 GMT",
			at(2017, 1, 1, 0, 0, 0)},
		{"the 29th of February of a leap year", "Thu, 29 Feb 2024 00:00:00 GMT",
			at(2024, 2, 29, 0, 0, 0)},
		{"two digits no more than 50 years ahead are ahead", "Wednesday, 01-Jul-76 12:00:00 GMT",
			at(2076, 7, 1, 12, 0, 0)},
		{"two digits a second more than 50 years ahead are past",
			"Thursday, 01-Jul-76 12:00:01 GMT", at(1976, 7, 1, 12, 0, 1)},
		{"two digits of this century", "Thursday, 18-Aug-50 02:01:18 GMT",
			at(2050, 8, 18, 2, 1, 18)},

		{"the 29th of February of another year", "Wed, 29 Feb 2023 00:00:00 GMT", time.Time{}},
		{"the 31st of a short month", "Sun, 31 Nov 1994 08:49:37 GMT", time.Time{}},
		{"day 0", "Sun, 00 Nov 1994 08:49:37 GMT", time.Time{}},
		{"hour 24", "Sun, 06 Nov 1994 24:00:00 GMT", time.Time{}},
		{"minute 60", "Sun, 06 Nov 1994 08:60:00 GMT", time.Time{}},
		{"second 60 in the middle of a day", "Sun, 06 Nov 1994 08:49:60 GMT", time.Time{}},
		{"no such month", "Sun, 06 Nof 1994 08:49:37 GMT", time.Time{}},
		{"no such day", "Son, 06 Nov 1994 08:49:37 GMT", time.Time{}},
		{"another zone", "Sun, 06 Nov 1994 08:49:37 UTC", time.Time{}},
		{"an offset", "Sun, 06 Nov 1994 08:49:37 +0000", time.Time{}},
		{"no zone", "Sun, 06 Nov 1994 08:49:37", time.Time{}},
		{"day in lower case (RFC 9111 §4.2)", "sun, 06 Nov 1994 08:49:37 GMT", classic},
		{"month in upper case", "Sun, 06 NOV 1994 08:49:37 GMT", classic},
		{"zone in lower case", "Sun, 06 Nov 1994 08:49:37 gmt", classic},
		{"a letter that is none of ASCII", "\u017fun, 06 Nov 1994 08:49:37 GMT", time.Time{}},
		{"one digit of day", "Sun, 6 Nov 1994 08:49:37 GMT", time.Time{}},
		{"one digit of hour", "Sun, 06 Nov 1994 8:49:37 GMT", time.Time{}},
		{"two digits of year in an IMF-fixdate", "Sun, 06 Nov 94 08:49:37 GMT", time.Time{}},
		{"four digits of year in an rfc850-date", "Sunday, 06-Nov-1994 08:49:37 GMT", time.Time{}},
		{"dashes in an IMF-fixdate", "Sun, 06-Nov-1994 08:49:37 GMT", time.Time{}},
		{"a short day in an rfc850-date", "Sun, 06-Nov-94 08:49:37 GMT", time.Time{}},
		{"no comma", "Sun 06 Nov 1994 08:49:37 GMT", time.Time{}},
		{"two spaces", "Sun,  06 Nov 1994 08:49:37 GMT", time.Time{}},
		{"periods in the time", "Sun, 06 Nov 1994 08.49.37 GMT", time.Time{}},
		{"space before", " Sun, 06 Nov 1994 08:49:37 GMT", time.Time{}},
		{"something behind", "Sun, 06 Nov 1994 08:49:37 GMT, x", time.Time{}},
		{"asctime-date with a zone", "Sun Nov  6 08:49:37 1994 GMT", time.Time{}},
		{"asctime-date with one digit and one space", "Sun Nov 6 08:49:37 1994", time.Time{}},
		{"a number", "0", time.Time{}},
		{"nothing", "", time.Time{}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, ok := ParseDate(tt.in, testNow)
			if ok == tt.want.IsZero() || !got.Equal(tt.want) {
				t.Errorf("ParseDate(%q) = %v, %v; want %v", tt.in, got, ok, tt.want)
			}
		})
	}
}

func TestFormatDateIsAnIMFFixdateInGMT(t *testing.T) {
	zone := time.FixedZone("east", 3600)
	if got := FormatDate(time.Date(1994, 11, 6, 9, 49, 37, 999,
		zone)); got != "Sun, 06 Nov 1994 08:49:37 GMT" {
		t.Error(got)
	}
}

// naiveDate reads a date with regular expressions and the standard library's calendar.
func naiveDate(s string, now time.Time) (time.Time, bool) {
	const (
		day   = `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)`
		long  = `(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)`
		month = `(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)`
		clock = `(\d\d:\d\d:\d\d)`
	)
	parse := func(year, month, day, clock string) (time.Time, bool) {
		clock, leap := strings.CutSuffix(clock, "23:59:60")
		if leap {
			clock = "23:59:59"
		}
		t, err := time.Parse("2006 Jan 2 15:04:05",
			year+" "+month+" "+strings.TrimLeft(day, " 0")+" "+clock)
		if leap {
			t = t.Add(time.Second)
		}
		return t, err == nil
	}
	// some of which fold into ASCII
	if strings.ContainsFunc(s, func(c rune) bool { return c > 0x7f }) {
		return time.Time{}, false
	}
	if m := regexp.MustCompile(`(?i)\A` + day + `, (\d\d) ` + month + ` (\d{4}) ` + clock +
		` GMT\z`).FindStringSubmatch(s); m != nil {
		return parse(m[3], m[2], m[1], m[4])
	}
	if m := regexp.MustCompile(`(?i)\A` + day + ` ` + month + ` ([ \d]\d) ` + clock + ` (\d{4})\z`).
		FindStringSubmatch(s); m != nil {
		return parse(m[4], m[1], m[2], m[3])
	}
	m := regexp.MustCompile(`(?i)\A` + long + `, (\d\d)-` + month + `-(\d\d) ` + clock + ` GMT\z`).
		FindStringSubmatch(s)
	if m == nil {
		return time.Time{}, false
	}
	for _, century := range []string{"22", "21", "20", "19", "18", "17"} {
		if t, ok := parse(century+m[3], m[2], m[1], m[4]); ok && !t.After(now.AddDate(50, 0, 0)) {
			return t, true
		}
	}
	return time.Time{}, false
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{
		"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun Nov  6 08:49:37 1994", "Sunday, 29-Feb-00 23:59:60 GMT",
		"Sun, 31 Feb 2024 00:00:00 GMT", "Sun Nov 06 08:49:37 0000",
		"Sun, 06 Nov 1994 08:49:37 gmt", "0",
	} {
		f.Add(s, int64(0))
		f.Add(s, int64(60*365*86400))
	}
	f.Fuzz(func(t *testing.T, s string, offset int64) {
		now := testNow.Add(time.Duration(offset%(80*365*86400)) * time.Second)
		got, ok := ParseDate(s, now)
		want, wantOK := naiveDate(s, now)
		if ok != wantOK || ok && !got.Equal(want) {
			t.Fatalf("ParseDate(%q, %v) = %v, %v; naively %v, %v", s, now, got, ok, want, wantOK)
		}
		if ok && got.Year() <= 9999 {
			if again, ok := ParseDate(FormatDate(got), now); !ok || !again.Equal(got) {
				t.Fatalf("%q is read as %v, which is printed as what is read as %v", s, got, again)
			}
		}
	})
}
