package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestStatusLine(t *testing.T) { // RFC 9112 §4
	for _, tt := range []struct {
		rule, line string
		status     int // 0: it is none
		minor      int
		text       string
	}{
		{"a status line", "HTTP/1.1 200 OK", 200, 1, "200 OK"},
		{"HTTP/1.0", "HTTP/1.0 404 Not Found", 404, 0, "404 Not Found"},
		{"§2.3 of RFC 9110: a higher minor version is read as 1.1", "HTTP/1.7 200 OK",
			200, 1, "200 OK"},
		{"an empty reason", "HTTP/1.1 200 ", 200, 1, "200 "},
		{"a missing reason", "HTTP/1.1 200", 200, 1, "200"},
		{"a reason of anything printable", "HTTP/1.1 200 \t;\"ü\xff", 200, 1, "200 \t;\"ü\xff"},
		{"the least status", "HTTP/1.1 100 C", 100, 1, "100 C"},
		{"the greatest status", "HTTP/1.1 999 C", 999, 1, "999 C"},
		{"a status under 100", "HTTP/1.1 099 C", 0, 0, ""},
		{"two digits", "HTTP/1.1 20 OK", 0, 0, ""},
		{"four digits", "HTTP/1.1 2000 OK", 0, 0, ""},
		{"no digits", "HTTP/1.1 OK", 0, 0, ""},
		{"a sign", "HTTP/1.1 +20 OK", 0, 0, ""},
		{"two spaces", "HTTP/1.1  200 OK", 0, 0, ""},
		{"a tab", "HTTP/1.1\t200 OK", 0, 0, ""},
		{"white space in front", " HTTP/1.1 200 OK", 0, 0, ""},
		{"a bare CR in the reason", "HTTP/1.1 200 O\rK", 0, 0, ""},
		{"NUL in the reason", "HTTP/1.1 200 O\x00K", 0, 0, ""},
		{"HTTP/2", "HTTP/2.0 200 OK", 0, 0, ""},
		{"HTTP/0.9", "HTTP/0.9 200 OK", 0, 0, ""},
		{"two digits of a minor version", "HTTP/1.10 200 OK", 0, 0, ""},
		{"lower case", "http/1.1 200 OK", 0, 0, ""},
		{"another protocol", "ICY 200 OK", 0, 0, ""},
		{"an empty line", "", 0, 0, ""},
		{"the beginning of one", "HTTP/1.1 20", 0, 0, ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			h, err := parseResponseHead(tt.line + "\r\n\r\n")
			if tt.status == 0 {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("read as %+v, %v", h, err)
				}
				return
			}
			if err != nil || h.status != tt.status || h.minor != tt.minor || h.text != tt.text {
				t.Errorf("%+v, %v", h, err)
			}
		})
	}
}

func TestFieldLines(t *testing.T) { // RFC 9112 §5
	for _, tt := range []struct {
		rule, text string
		want       http.Header // nil: an error
	}{
		{"none", "\r\n", http.Header{}},
		{"names are made canonical, lines of one name stay in order",
			"x-a: 1\r\nX-B: 2\r\nX-a: 3\r\nX-A:\r\n\r\n",
			http.Header{"X-A": {"1", "3", ""}, "X-B": {"2"}}},
		{"§2.2 a lone LF ends a line", "X-A: 1\nX-B: 2\r\nX-C: 3\n\n",
			http.Header{"X-A": {"1"}, "X-B": {"2"}, "X-C": {"3"}}},
		{"§5 the value is without the white space around it", "X-A: \t 1 2\t \r\nX-B:3\r\n\r\n",
			http.Header{"X-A": {"1 2"}, "X-B": {"3"}}},
		{"§5 obs-text", "X-A: \xe4\xff\r\n\r\n", http.Header{"X-A": {"\xe4\xff"}}},
		{"a colon in the value", "X-A: a:b\r\n\r\n", http.Header{"X-A": {"a:b"}}},
		{"every tchar", "!#$%&'*+-.^_`|~09az: 1\r\n\r\n",
			http.Header{"!#$%&'*+-.^_`|~09az": {"1"}}},
		{"§5.1 white space before the colon is taken out", "X-A : 1\r\nX-B \t : 2\r\n\r\n",
			http.Header{"X-A": {"1"}, "X-B": {"2"}}},
		{"§5.1 also of what frames", "Content-Length : 5\r\n\r\n",
			http.Header{"Content-Length": {"5"}}},
		{"§5.2 a folded line is put together with a space",
			"X-A: 1 \r\n \t 2\r\n\t3 \r\nX-B: 4\r\n\r\n",
			http.Header{"X-A": {"1 2 3"}, "X-B": {"4"}}},
		{"§5.2 a folded line of white space is no end", "X-A: 1\r\n \r\nX-B: 2\r\n\r\n",
			http.Header{"X-A": {"1"}, "X-B": {"2"}}},
		{"§5.2 the value begins on the folded line", "X-A:\r\n 1\r\n\r\n",
			http.Header{"X-A": {"1"}}},
		{"§5.2 a folded line that looks like a field is none",
			"X-A: 1\r\n Content-Length: 5\r\n\r\n", http.Header{"X-A": {"1 Content-Length: 5"}}},
		{"§2.2 white space before the first field", " X-A: 1\r\n\r\n", nil},
		{"an empty name", ": 1\r\n\r\n", nil},
		{"a blank name", "X-A: 1\r\nX B: 2\r\n\r\n", nil},
		{"a name that is no token", "X(A): 1\r\n\r\n", nil},
		{"a name of obs-text", "X\xe4: 1\r\n\r\n", nil},
		{"a line without a colon", "X-A\r\n\r\n", nil},
		{"a name that is folded", "X-A\r\n : 1\r\n\r\n", http.Header{"X-A": {"1"}}},
		{"a bare CR in a value", "X-A: 1\rX-B: 2\r\n\r\n", nil},
		{"a bare CR at the end", "X-A: 1\r\r\n\r\n", nil},
		{"a bare CR as a line", "X-A: 1\r\n\r\r\n\r\n", nil},
		{"a bare CR in a folded line", "X-A: 1\r\n 2\r3\r\n\r\n", nil},
		{"NUL in a value", "X-A: \x00\r\n\r\n", nil},
		{"another control byte in a value", "X-A: \x7f\r\n\r\n", nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := parseFields(tt.text)
			if tt.want == nil {
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("read as %q, %v", got, err)
				}
				return
			}
			if err != nil || !maps.EqualFunc(got, tt.want, slices.Equal) {
				t.Errorf("%q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestErrorsDoNotTellValues(t *testing.T) {
	for _, answer := range []string{
		"geheim\r\n\r\n", "HTTP/1.1 200 geheim\x00\r\n\r\n", "HTTP/1.1 200 OK\r\ngeheim\r\n\r\n",
		"HTTP/1.1 200 OK\r\nSet-Cookie: geheim\x00\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: geheim\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, geheim\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ngeheim\r\n",
	} {
		r := read("GET", answer, 0)
		if !errors.Is(r.err, ErrMalformed) || strings.Contains(r.err.Error(), "geheim") ||
			strings.Contains(r.err.Error(), "\x00") {
			t.Errorf("%q: %v", answer, r.err)
		}
	}
}

func TestBoundsOfAHead(t *testing.T) {
	lines := func(n int) string { return strings.Repeat("X-A: 1\r\n", n) }
	hint := func(bytes int) string {
		return "HTTP/1.1 103 E\r\nX-A: " + strings.Repeat("a", bytes) + "\r\n\r\n"
	}
	for _, tt := range []struct {
		name, answer string
		ok           bool
	}{
		{"as many fields as may be", "HTTP/1.1 200 OK\r\n" + lines(maxFields) + "\r\n", true},
		{"one more", "HTTP/1.1 200 OK\r\n" + lines(maxFields+1) + "\r\n", false},
		{"fields without an end", "HTTP/1.1 200 OK\r\n" + lines(maxFields+1), false},
		{"a line longer than the buffer",
			"HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 3*bufferSize) + "\r\n\r\n", true},
		{"a line that fills the buffer",
			"HTTP/1.1 200 OK\r\n" + "X-A: " + strings.Repeat("a", bufferSize-17-5-2) + "\r\n\r\n",
			true},
		{"a head of as many bytes as may be",
			"HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", maxHead-26) + "\r\n\r\n", true},
		{"one more byte", "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", maxHead-25) + "\r\n\r\n",
			false},
		{"a line without an end", strings.Repeat("a", 2*maxHead), false},
		{"informational answers count with it",
			strings.Repeat(hint(maxHead/4), 4) + "HTTP/1.1 200 OK\r\n\r\n", false},
		{"fewer of them", strings.Repeat(hint(maxHead/4), 3) + "HTTP/1.1 200 OK\r\n\r\n", true},
		{"as many informational answers as may be",
			strings.Repeat(hint(1), maxInformational) + "HTTP/1.1 200 OK\r\n\r\n", true},
		{"one more informational answer",
			strings.Repeat(hint(1), maxInformational+1) + "HTTP/1.1 200 OK\r\n\r\n", false},
		{"those that nobody is told of count too",
			strings.Repeat("HTTP/1.1 100 C\r\n\r\n", maxInformational+1) +
				"HTTP/1.1 200 OK\r\n\r\n", false},
		{"trailers of as many fields as may be",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" +
				lines(maxFields) + "\r\n", true},
		{"a trailer more", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" +
			lines(maxFields+1) + "\r\n", false},
		{"trailers of too many bytes",
			"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-A: " +
				strings.Repeat("a", maxHead) + "\r\n\r\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r := read("GET", tt.answer, 0); tt.ok && r.err != nil ||
				!tt.ok && !errors.Is(r.err, ErrMalformed) {
				t.Error(r.err)
			}
		})
	}
}

func TestNothingIsToldWhenTheContextIsDone(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	x := &exchange{ctx: ctx, idle: &pool{}, method: "GET", conn: newConn(&wire{
		Reader: strings.NewReader(strings.Repeat("HTTP/1.1 103 E\r\n\r\n", 3) +
			"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
	})}
	told := 0
	_, err := x.run(nil, func(int, http.Header) {
		told++
		cancel()
	})
	if told != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("told %d times, %v", told, err)
	}
}

func TestAHeadOfManyFoldedLinesIsPutTogetherOnce(t *testing.T) {
	text := "X-A: 1\r\n" + strings.Repeat(" "+strings.Repeat("a", 1000)+"\r\n", maxFields-1) +
		"\r\n"
	allocations := testing.AllocsPerRun(1, func() {
		if _, err := parseFields(text); err != nil {
			t.Error(err)
		}
	})
	if allocations > 100 {
		t.Errorf("%v allocations for %d lines", allocations, maxFields)
	}
}

func TestAnAnswerThatEndsWithinItsHeadIsIncomplete(t *testing.T) {
	const whole = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\n" +
		"Content-Length: 0\r\n\r\n"
	for n := 1; n < len(whole); n++ {
		if r := read("GET", whole[:n], 0); !errors.Is(r.err, io.ErrUnexpectedEOF) ||
			errors.Is(r.err, errUnanswered) {
			t.Errorf("%q: %v", whole[:n], r.err)
		}
	}
	for n := 1; n <= len(whole); n++ {
		if r := read("GET", whole, n); r.err != nil || r.resp.Header.Get("X-A") != "1" ||
			fmt.Sprint(r.told) != "[103]" {
			t.Errorf("in pieces of %d: %+v", n, r)
		}
	}
}
