package httpfield

import (
	"strings"
	"time"
)

// FormatDate writes t as an IMF-fixdate (RFC 9110 §5.6.7), the only form that may be sent.
func FormatDate(t time.Time) string { return t.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT") }

// ParseDate reads an HTTP-date (RFC 9110 §5.6.7): the three forms of the grammar, in any case (RFC
// 9111 §4.2), and nothing else (no other zone, no missing digit). now decides the century of the
// two-digit year of an rfc850-date: the latest that lies at most 50 years ahead.
//
// The day name must be one, but need not fit the date, since the instant does not depend on it. A
// leap second (23:59:60) is the second after it.
func ParseDate(s string, now time.Time) (t time.Time, ok bool) {
	day, rest, comma := strings.Cut(s, ",")
	switch {
	case !comma:
		return parseAsctime(s)
	case len(day) == 3:
		return parseFixdate(day, rest)
	default:
		return parse850(day, rest, now)
	}
}

// parseFixdate reads the text after the comma of "Sun, 06 Nov 1994 08:49:37 GMT".
func parseFixdate(day, s string) (t time.Time, ok bool) {
	if dayIndex(day, shortDays) < 0 || !matches(s, " 00 aaa 0000 00:00:00 GMT") {
		return t, false
	}
	return date(digits(s[8:12]), month(s[4:7]), digits(s[1:3]), s[13:21])
}

// parse850 reads the text after the comma of "Sunday, 06-Nov-94 08:49:37 GMT".
func parse850(day, s string, now time.Time) (t time.Time, ok bool) {
	if dayIndex(day, longDays) < 0 || !matches(s, " 00-aaa-00 00:00:00 GMT") {
		return t, false
	}
	latest := now.UTC().AddDate(50, 0, 0)
	for year := latest.Year(); year > latest.Year()-200; year-- {
		if year%100 != digits(s[8:10]) {
			continue
		}
		if t, ok = date(year, month(s[4:7]), digits(s[1:3]), s[11:19]); ok && !t.After(latest) {
			return t, true
		}
	}
	return time.Time{}, false
}

// parseAsctime reads "Sun Nov  6 08:49:37 1994".
func parseAsctime(s string) (t time.Time, ok bool) {
	switch {
	case matches(s, "aaa aaa 00 00:00:00 0000"):
	case matches(s, "aaa aaa  0 00:00:00 0000"):
	default:
		return t, false
	}
	if dayIndex(s[:3], shortDays) < 0 {
		return t, false
	}
	return date(digits(s[20:24]), month(s[4:7]), digits(strings.TrimPrefix(s[8:10], " ")), s[11:19])
}

const (
	shortDays = "Mon Tue Wed Thu Fri Sat Sun "
	longDays  = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday "
	months    = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec "
)

// dayIndex finds a whole word of names; -1 if it is none.
func dayIndex(word, names string) int {
	for i := 0; names != ""; i++ {
		var name string
		name, names, _ = strings.Cut(names, " ")
		// The equal length excludes letters beyond ASCII that fold into the name.
		if len(word) == len(name) && strings.EqualFold(word, name) {
			return i
		}
	}
	return -1
}

// month is 1 to 12, or 0 for an unknown name.
func month(name string) time.Month { return time.Month(dayIndex(name, months) + 1) }

// matches reports whether s has the shape: '0' stands for a digit, 'a' for a letter, all else for
// itself.
func matches(s, shape string) bool {
	if len(s) != len(shape) {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; shape[i] {
		case '0':
			if !isDigit(c) {
				return false
			}
		case 'a':
			if !isAlpha(c) {
				return false
			}
		default:
			if c != shape[i] && (!isAlpha(c) || c^0x20 != shape[i]) {
				return false
			}
		}
	}
	return true
}

// digits is the value of s, which has only digits.
func digits(s string) int {
	n := 0
	for i := range len(s) {
		n = n*10 + int(s[i]-'0')
	}
	return n
}

// date combines the parts of a time; clock is like "08:49:37". ok is false for a time that calendar
// or clock do not have.
func date(year int, month time.Month, day int, clock string) (t time.Time, ok bool) {
	hour, minute, second := digits(clock[:2]), digits(clock[3:5]), digits(clock[6:8])
	if month == 0 || day == 0 || hour > 23 || minute > 59 || second > 59 && clock != "23:59:60" {
		return t, false
	}
	if t = time.Date(year, month, day, 0, 0, 0, 0, time.UTC); t.Day() != day {
		return time.Time{}, false
	}
	return time.Date(year, month, day, hour, minute, second, 0, time.UTC), true
}
