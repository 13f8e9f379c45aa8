package backend

import (
	"bufio"
	"io"
	"maps"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"

	"sidecar/internal/httpfield"
)

func FuzzParseFields(f *testing.F) {
	for _, s := range []string{
		"X-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\n", "X-A : 1\r\n\r\n",
		"X-A: 1 \r\n  2\r\n\t\r\n\r\n", "X-A: 1\nX-B:\n\n", "X-A: a\rb\r\n\r\n",
		" X-A: 1\r\n\r\n", "X-A\r\n\r\n", ": 1\r\n\r\n", "X-A: \x00\r\n\r\n", "X-A:\xe4\r\n\r\n",
		"a\r\n :b\r\n\r\n", "a:b\r\r\n\r\n", "a:\r\n\rb:\n\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text += "\r\n\r\n"
		got, err := parseFields(text)
		if err != nil {
			return
		}
		var again strings.Builder
		for name, values := range got {
			if !httpfield.IsToken(name) || name != http.CanonicalHeaderKey(name) {
				t.Fatalf("%q has the name %q", text, name)
			}
			for _, v := range values {
				if hasControl(v) || v != strings.Trim(v, " \t") {
					t.Fatalf("%q has the value %q", text, v)
				}
				again.WriteString(name + ": " + v + "\r\n")
			}
		}
		if second, err := parseFields(again.String() + "\r\n"); err != nil ||
			!maps.EqualFunc(got, second, slices.Equal) {
			t.Fatalf("%q is written as %q, which is read as %q, %v", text, got, second, err)
		}
		want, err := textproto.NewReader(bufio.NewReader(strings.NewReader(text))).ReadMIMEHeader()
		if err != nil || hasSpacedName(http.Header(want)) {
			return
		}
		if !maps.EqualFunc(got, http.Header(want), equalTrimmed) {
			t.Fatalf("%q is read as %q; by net/textproto as %q", text, got, want)
		}
	})
}

// hasSpacedName reports whether there is a name with white space before its colon, which net/http
// keeps as a name of its own.
func hasSpacedName(h http.Header) bool {
	for name := range h {
		if strings.Contains(name, " ") {
			return true
		}
	}
	return false
}

// equalTrimmed compares values. net/http leaves white space at the end of a value that ends with a
// folded line of nothing else.
func equalTrimmed(a, b []string) bool {
	return slices.EqualFunc(a, b, func(a, b string) bool {
		return strings.TrimRight(a, " \t") == strings.TrimRight(b, " \t")
	})
}

// FuzzAnswer reads answers whole, and compares with net/http where that reads them too.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello!",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n5;a=b\r\nhello\r\n" +
			"0\r\nX-A: 1\r\nX-B: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n5\r\nhello\r\n" +
			"0\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\nhello",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n" +
			"Content-Length: 5\r\n\r\nhello",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200\nA:b\n\nhello", "HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\n\r\nhello",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length : 5\r\nA: b\r\n c\r\nConnection: close\r\n" +
			"Pragma: no-cache\r\n\r\nhello", "HTTP/1.1 101 S\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello",
	} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, answer string, isHead bool) {
		method := http.MethodGet
		if isHead {
			method = http.MethodHead
		}
		got := read(method, answer, 0)
		for _, piece := range []int{1, 3} {
			other := read(method, answer, piece)
			if (got.err == nil) != (other.err == nil) || got.body != other.body ||
				got.err == nil &&
					!maps.EqualFunc(got.resp.Trailer, other.resp.Trailer, slices.Equal) {
				t.Fatalf("%q is read as %q, %v; in pieces of %d as %q, %v",
					answer, got.body, got.err, piece, other.body, other.err)
			}
		}
		if got.err != nil {
			return
		}
		want, body, err := readByNetHTTP(method, answer)
		if err != nil || hasSpacedName(want.Header) ||
			got.resp.ProtoMinor == 0 && Suspect(got.resp) {
			return // net/http reads an answer of HTTP/1.0 by Content-Length where it has both
		}
		if got.resp.StatusCode != want.StatusCode || got.body != body {
			t.Fatalf("%q is read as %d %q; by net/http as %d %q",
				answer, got.resp.StatusCode, got.body, want.StatusCode, body)
		}
		alike(got.resp, want)
		if got.resp.ContentLength != want.ContentLength ||
			!maps.EqualFunc(got.resp.Header, want.Header, equalTrimmed) ||
			!maps.EqualFunc(got.resp.Trailer, want.Trailer, equalTrimmed) {
			t.Fatalf("%q is read as %d %q %q; by net/http as %d %q %q", answer,
				got.resp.ContentLength, got.resp.Header, got.resp.Trailer, want.ContentLength,
				want.Header, want.Trailer)
		}
	})
}

func readByNetHTTP(method, answer string) (resp *http.Response, body string, err error) {
	from := bufio.NewReader(strings.NewReader(answer))
	for range maxInformational + 1 {
		resp, err = http.ReadResponse(from, &http.Request{Method: method})
		if err != nil {
			return nil, "", err
		}
		if resp.StatusCode >= 200 || resp.StatusCode < 100 {
			content, err := io.ReadAll(resp.Body)
			return resp, string(content), err
		}
	}
	return nil, "", io.ErrNoProgress
}

// alike takes known differences out of both.
func alike(got, want *http.Response) {
	for _, h := range []http.Header{got.Header, want.Header} {
		delete(h, "Connection") // net/http takes it out where it says close
	}
	if pragma := want.Header["Pragma"]; len(pragma) > 0 && pragma[0] == "no-cache" &&
		got.Header["Cache-Control"] == nil {
		delete(want.Header, "Cache-Control") // it makes that up
	}
	for _, h := range []http.Header{got.Trailer, want.Trailer} {
		maps.DeleteFunc(h, func(name string, _ []string) bool {
			return !httpfield.MayBeTrailer(name)
		})
	}
	// without content nothing comes after it: what is announced stays where it was
	if got.Body == http.NoBody || got.ContentLength >= 0 {
		for _, r := range []*http.Response{got, want} {
			delete(r.Header, "Trailer")
			r.Trailer = nil
		}
	}
	if Suspect(got) { // a length that does not count is of no use to a HEAD either
		delete(want.Header, "Content-Length")
		want.ContentLength = got.ContentLength
		if len(want.TransferEncoding) > 0 && got.Trailer == nil {
			want.Trailer = nil
			delete(got.Header, "Trailer")
		}
	}
}
