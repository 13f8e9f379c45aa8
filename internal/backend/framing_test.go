package backend

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// How an answer's connection and framing are left.
const (
	kept    = "kept"    // the connection waits for another request
	ended   = "ended"   // it is closed
	suspect = "suspect" // and the answer must not be stored
)

func TestFraming(t *testing.T) { // RFC 9112 §6.3
	for _, tt := range []struct {
		rule, method, head, rest string
		length                   int64
		body, left               string
	}{
		{"1 HEAD with a length", "HEAD", "200 OK|Content-Length: 5", "", 5, "", kept},
		{"1 HEAD without a length", "HEAD", "200 OK|X-A: 1", "", -1, "", kept},
		{"1 HEAD of chunked content", "HEAD", "200 OK|Transfer-Encoding: chunked",
			"", -1, "", kept},
		{"1 HEAD of content that could not be read", "HEAD",
			"200 OK|Transfer-Encoding: gzip, chunked", "", -1, "", ended},
		{"1 HEAD with content", "HEAD", "200 OK|Content-Length: 5", "hello", 5, "", ended},
		{"1 HEAD with chunked content", "HEAD", "200 OK|Transfer-Encoding: chunked",
			"5\r\nhello\r\n0\r\n\r\n", -1, "", ended},
		{"1 204", "GET", "204 No Content|X-A: 1", "", 0, "", kept},
		{"1 204 with a length of 0", "GET", "204 No Content|Content-Length: 0", "", 0, "", kept},
		{"1 204 that announces content", "GET", "204 No Content|Content-Length: 5",
			"", 0, "", ended},
		{"1 204 with content", "GET", "204 No Content|Content-Length: 5", "hello", 0, "", ended},
		{"1 204 with chunked content", "GET", "204 No Content|Transfer-Encoding: chunked",
			"5\r\nhello\r\n0\r\n\r\n", 0, "", ended},
		{"1 304 with the length that a 200 would have", "GET",
			"304 Not Modified|Content-Length: 5", "", 0, "", kept},
		{"1 304 with content", "GET", "304 Not Modified|Content-Length: 5", "hello", 0, "", ended},
		{"1 304 with a coding that is unknown", "GET", "304 Not Modified|Transfer-Encoding: foo",
			"", 0, "", ended},

		{"3 Transfer-Encoding and Content-Length", "GET",
			"200 OK|Content-Length: 3|Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", -1,
			"hello", suspect},
		{"3 in the other order", "GET", "200 OK|Transfer-Encoding: chunked|Content-Length: 30",
			"5\r\nhello\r\n0\r\n\r\n", -1, "hello", suspect},
		{"3 of a HEAD", "HEAD", "200 OK|Transfer-Encoding: chunked|Content-Length: 30",
			"", -1, "", suspect},
		{"3 of a 304", "GET", "304 Not Modified|Transfer-Encoding: chunked|Content-Length: 30",
			"", 0, "", suspect},
		{"3 with a coding that is unknown", "GET",
			"200 OK|Transfer-Encoding: identity|Content-Length: 2", "hello", -1, "hello", suspect},
		{"§6.1 Transfer-Encoding in HTTP/1.0", "GET",
			"1.0 200 OK|Transfer-Encoding: chunked|Connection: keep-alive",
			"5\r\nhello\r\n0\r\n\r\n", -1, "hello", suspect},

		{"4 chunked", "GET", "200 OK|Transfer-Encoding: chunked",
			"5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", -1, "hello!", kept},
		{"4 chunked in any case, with empty members", "GET",
			"200 OK|Transfer-Encoding: , Chunked ,|Transfer-Encoding:", "5\r\nhello\r\n0\r\n\r\n",
			-1, "hello", kept},
		{"4 chunked, folded", "GET", "200 OK|Transfer-Encoding:| chunked",
			"5\r\nhello\r\n0\r\n\r\n", -1, "hello", kept},
		{"4 chunked by an unknown minor version", "GET", "1.5 200 OK|Transfer-Encoding: chunked",
			"5\r\nhello\r\n0\r\n\r\n", -1, "hello", kept},
		{"4 an unknown coding is read to the end of the connection", "GET",
			"200 OK|Transfer-Encoding: foo", "hello", -1, "hello", ended},
		{"4 identity is such a one", "GET", "200 OK|Transfer-Encoding: identity",
			"5\r\nhello\r\n0\r\n\r\n", -1, "5\r\nhello\r\n0\r\n\r\n", ended},

		{"5 equal lengths on two lines", "GET", "200 OK|Content-Length: 5|Content-Length: 5",
			"hello", 5, "hello", kept},
		{"5 equal lengths on one line", "GET", "200 OK|Content-Length: 5, 5", "hello",
			5, "hello", kept},
		{"6 a length", "GET", "200 OK|Content-Length: 5", "hello", 5, "hello", kept},
		{"6 a length with zeros in front", "GET", "200 OK|Content-Length: 005", "hello",
			5, "hello", kept},
		{"6 a length of 0", "GET", "200 OK|Content-Length: 0", "", 0, "", kept},
		{"6 more than the length", "GET", "200 OK|Content-Length: 5", "hello!", 5, "hello", ended},
		{"6 more than none", "GET", "200 OK|Content-Length: 0",
			"HTTP/1.1 200 OK\r\n\r\n", 0, "", ended},
		{"6 HTTP/1.0", "GET", "1.0 200 OK|Content-Length: 5|Connection: keep-alive", "hello",
			5, "hello", ended},
		{"8 neither", "GET", "200 OK|X-A: 1", "hello", -1, "hello", ended},
		{"8 HTTP/1.0 with neither", "GET", "1.0 200 OK", "hello", -1, "hello", ended},
		{"8 an empty one", "GET", "200 OK", "", -1, "", ended},

		{"§9.6 close", "GET", "200 OK|Connection: close|Content-Length: 5", "hello",
			5, "hello", ended},
		{"§9.6 close in any case and place", "GET",
			"200 OK|Connection: x-a|Connection: Keep-Alive,CLOSE|Content-Length: 5", "hello",
			5, "hello", ended},
		{"§9.6 close for chunked content", "GET",
			"200 OK|Connection: close|Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n",
			-1, "hello", ended},
		{"§9.6 an option like it", "GET", "200 OK|Connection: closed|Content-Length: 5", "hello",
			5, "hello", kept},
		{"§9.6 options that cannot be read", "GET", "200 OK|Connection: \"close|Content-Length: 5",
			"hello", 5, "hello", ended},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			for _, piece := range []int{0, 1, 7} {
				r := read(tt.method, answerOf(tt.head, tt.rest), piece)
				if r.err != nil {
					t.Fatal(r.err)
				}
				left := ended
				switch {
				case Suspect(r.resp):
					left = suspect
				case r.reused:
					left = kept
				}
				if left == suspect && r.reused {
					t.Error("the connection is used again")
				}
				// Bytes that come piece by piece after the end are found when the connection is
				// taken again.
				if late := piece > 0 && left == kept &&
					tt.left == ended; r.body != tt.body || r.resp.ContentLength != tt.length ||
					left != tt.left && !late {
					t.Errorf("%q of %d, %s; want %q of %d, %s",
						r.body, r.resp.ContentLength, left, tt.body, tt.length, tt.left)
				}
				if r.resp.Header["Transfer-Encoding"] != nil ||
					len(r.resp.Header["Content-Length"]) > 1 {
					t.Errorf("it passes on %q", r.resp.Header)
				}
				if tt.method == "GET" && tt.length < 0 && r.resp.Header["Content-Length"] != nil {
					t.Errorf("a length passes that does not count: %q", r.resp.Header)
				}
			}
		})
	}
}

// answerOf writes an answer. head is its lines; one without a version is of HTTP/1.1.
func answerOf(head, rest string) string {
	if !strings.HasPrefix(head, "1.") {
		head = "1.1 " + head
	}
	return "HTTP/" + strings.ReplaceAll(head, "|", "\r\n") + "\r\n\r\n" + rest
}

func TestFramingThatCannotBeReadForCertain(t *testing.T) { // RFC 9112 §6.3, §7
	const chunks = "5\r\nhello\r\n0\r\n\r\n"
	for _, tt := range []struct{ rule, head, rest string }{
		{"4 gzip, which was not asked for", "Transfer-Encoding: gzip", "hello"},
		{"4 gzip and chunked", "Transfer-Encoding: gzip, chunked", chunks},
		{"4 x-gzip", "Transfer-Encoding: X-Gzip", "hello"},
		{"4 deflate", "Transfer-Encoding: deflate;q=1", "hello"},
		{"4 compress", "Transfer-Encoding: compress", "hello"},
		{"4 x-compress", "Transfer-Encoding: x-compress", "hello"},
		{"4 an unknown coding and chunked", "Transfer-Encoding: foo, chunked", chunks},
		{"4 two unknown codings", "Transfer-Encoding: foo, bar", "hello"},
		{"4 chunked that is not the last", "Transfer-Encoding: chunked, foo", chunks},
		{"4 identity after chunked", "Transfer-Encoding: chunked|Transfer-Encoding: identity",
			chunks},
		{"§7.1 chunked twice", "Transfer-Encoding: chunked, chunked", chunks},
		{"§7.1 chunked twice on two lines",
			"Transfer-Encoding: chunked|Transfer-Encoding: chunked", chunks},
		{"§7.1 chunked with a parameter", "Transfer-Encoding: chunked;a=b", chunks},
		{"§7 no coding", "Transfer-Encoding:", chunks},
		{"§7 no token", "Transfer-Encoding: \"chunked\"", chunks},
		{"§7 two tokens", "Transfer-Encoding: chunked foo", chunks},
		{"§7 an open quote", "Transfer-Encoding: chunked, \"", chunks},
		{"5 two lengths", "Content-Length: 5|Content-Length: 6", "hello!"},
		{"5 two lengths on a line", "Content-Length: 5, 6", "hello!"},
		{"5 two spellings of a length", "Content-Length: 5, 05", "hello"},
		{"5 a length and nothing", "Content-Length: 5,", "hello"},
		{"5 an empty length", "Content-Length:", "hello"},
		{"5 a sign", "Content-Length: +5", "hello"},
		{"5 a negative length", "Content-Length: -5", "hello"},
		{"5 no number", "Content-Length: 5x", "hello"},
		{"5 a hexadecimal number", "Content-Length: 0x5", "hello"},
		{"5 a fraction", "Content-Length: 5.0", "hello"},
		{"5 a length in quotes", "Content-Length: \"5\"", "hello"},
		{"5 a length over 2^63-1", "Content-Length: 9223372036854775808", "hello"},
		{"5 a length far over it", "Content-Length: 99999999999999999999999999", "hello"},
		{"5 a length that cannot be read beside chunked",
			"Content-Length: x|Transfer-Encoding: chunked", chunks},
		{"§7.1 a size that is not hexadecimal", "Transfer-Encoding: chunked",
			"5g\r\nhello\r\n0\r\n\r\n"},
		{"§7.1 no size", "Transfer-Encoding: chunked", "\r\nhello\r\n0\r\n\r\n"},
		{"§7.1 a signed size", "Transfer-Encoding: chunked", "+5\r\nhello\r\n0\r\n\r\n"},
		{"§7.1 white space before a size", "Transfer-Encoding: chunked",
			" 5\r\nhello\r\n0\r\n\r\n"},
		{"§7.1 a size that is too large", "Transfer-Encoding: chunked",
			"10000000000000005\r\nhello\r\n0\r\n\r\n"},
		{"§7.1 a size that no content has", "Transfer-Encoding: chunked",
			"ffffffffffffffff\r\nhello"},
		{"§7.1 no CRLF after a chunk", "Transfer-Encoding: chunked", "5\r\nhello0\r\n\r\n"},
		{"§7.1 a lone LF after a size", "Transfer-Encoding: chunked", "5\nhello\r\n0\r\n\r\n"},
		{"§7.1.1 an extension without an end", "Transfer-Encoding: chunked",
			"5;" + strings.Repeat("a", bufferSize) + "\r\nhello\r\n0\r\n\r\n"},
		{"§7.1.1 more extensions than content", "Transfer-Encoding: chunked",
			strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\na\r\n", 100) + "0\r\n\r\n"},
		{"§7.1.2 a trailer that is no field", "Transfer-Encoding: chunked",
			"5\r\nhello\r\n0\r\nfoo\r\n\r\n"},
		{"§7.1.2 a trailer with a bare CR", "Transfer-Encoding: chunked",
			"5\r\nhello\r\n0\r\nX-A: 1\r2\r\n\r\n"},
		{"§7.8 of RFC 9110: a switch of protocols that nobody asked for", "101", ""},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			head := "200 OK|" + tt.head
			if tt.head == "101" {
				head = "101 Switching Protocols|Connection: Upgrade|Upgrade: websocket"
			}
			for _, piece := range []int{0, 1} {
				if r := read("GET", answerOf(head, tt.rest),
					piece); !errors.Is(r.err, ErrMalformed) || r.reused {
					t.Errorf("%q, %v", r.body, r.err)
				}
			}
		})
	}
}

func TestContentThatEndsEarlyIsIncomplete(t *testing.T) { // RFC 9112 §8
	for _, tt := range []struct{ name, head, rest string }{
		{"counted", "Content-Length: 6", "hello"},
		{"counted, without a byte", "Content-Length: 6", ""},
		{"before a size", "Transfer-Encoding: chunked", ""},
		{"within a size", "Transfer-Encoding: chunked", "5"},
		{"within a chunk", "Transfer-Encoding: chunked", "6\r\nhello"},
		{"after a chunk", "Transfer-Encoding: chunked", "5\r\nhello"},
		{"before the next size", "Transfer-Encoding: chunked", "5\r\nhello\r\n"},
		{"before the trailers", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n"},
		{"within the trailers", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\nX-A: 1\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, piece := range []int{0, 1} {
				if r := read("GET", answerOf("200 OK|"+tt.head, tt.rest),
					piece); !errors.Is(r.err, io.ErrUnexpectedEOF) || r.reused {
					t.Errorf("%q, %v", r.body, r.err)
				}
			}
		})
	}
}

func TestTrailers(t *testing.T) { // RFC 9112 §7.1.2
	for _, tt := range []struct {
		rule, announced, sent string
		before, after         http.Header
	}{
		{"none", "", "", nil, nil},
		{"announced", "Trailer: x-a, X-B|", "X-A: 1\r\nx-a: 2\r\nX-B:\r\n",
			http.Header{"X-A": nil, "X-B": nil}, http.Header{"X-A": {"1", "2"}, "X-B": {""}}},
		{"announced and not sent", "Trailer: X-A|", "", http.Header{"X-A": nil},
			http.Header{"X-A": nil}},
		{"not announced", "", "X-A: 1\r\n", nil, http.Header{"X-A": {"1"}}},
		{"folded", "", "X-A: 1\r\n 2\r\n", nil, http.Header{"X-A": {"1 2"}}},
		{"what would frame the message is dropped", "Trailer: Content-Length, Transfer-Encoding|",
			"Content-Length: 1\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\n" +
				"Connection: close\r\nKeep-Alive: 1\r\nUpgrade: a\r\nX-A: 1\r\n", nil,
			http.Header{"X-A": {"1"}}},
		{"nothing but that", "", "Content-Length: 1\r\n", nil, nil},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			answer := answerOf("200 OK|"+tt.announced+"Transfer-Encoding: chunked",
				"5\r\nhello\r\n0\r\n"+tt.sent+"\r\n")
			h, err := parseResponseHead(answer[:strings.Index(answer, "\r\n\r\n")+4])
			if err != nil {
				t.Fatal(err)
			}
			f, err := frame("GET", &h)
			if err != nil || !maps.EqualFunc(f.trailer, tt.before, equalOrBothNil) ||
				h.fields["Trailer"] != nil {
				t.Errorf("announced are %q, %v", f.trailer, err)
			}
			for _, piece := range []int{0, 1, 8} {
				r := read("GET", answer, piece)
				if r.err != nil || r.body != "hello" ||
					!maps.EqualFunc(r.resp.Trailer, tt.after, equalOrBothNil) || !r.reused {
					t.Errorf("%q %q %v", r.body, r.resp.Trailer, r.err)
				}
			}
		})
	}
}

func equalOrBothNil(a, b []string) bool { return slices.Equal(a, b) && (a == nil) == (b == nil) }
