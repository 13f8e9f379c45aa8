package httpcache_test

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"sidecar/internal/httpcache"
)

// multipartOf is the body that the heads, the slices of body and the tail make.
func multipartOf(boundary, contentType string, parts []httpcache.Part, body []byte) []byte {
	var b []byte
	for i, p := range parts {
		b = append(b,
			httpcache.MultipartHead(boundary, contentType, p, int64(len(body)), i == 0)...)
		b = append(b, body[p.First:p.Last+1]...)
	}
	return append(b, httpcache.MultipartTail(boundary)...)
}

func TestMultipartByteranges(t *testing.T) { // RFC 9110 §14.6, §15.3.7.2
	body := []byte("0123456789")
	for _, tt := range []struct {
		rule        string
		contentType string
		parts       []httpcache.Part
		want        []string // lines
	}{
		{"a Content-Type and a Content-Range for each", "application/pdf",
			[]httpcache.Part{{First: 5, Last: 6}, {First: 0, Last: 0}}, []string{
				"--B", "Content-Type: application/pdf", "Content-Range: bytes 5-6/10", "", "56",
				"--B", "Content-Type: application/pdf", "Content-Range: bytes 0-0/10", "", "0",
				"--B--", "",
			}},
		{"no Content-Type where the whole has none", "",
			[]httpcache.Part{{First: 0, Last: 9}, {First: 9, Last: 9}}, []string{
				"--B", "Content-Range: bytes 0-9/10", "", "0123456789",
				"--B", "Content-Range: bytes 9-9/10", "", "9",
				"--B--", "",
			}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, want := string(multipartOf("B", tt.contentType, tt.parts, body)),
				strings.Join(tt.want, "\r\n")
			if got != want {
				t.Errorf("%q\nwant %q", got, want)
			}
			if n := httpcache.MultipartLength("B", tt.contentType, tt.parts,
				int64(len(body))); n != int64(len(want)) {
				t.Errorf("length %d; want %d", n, len(want))
			}
		})
	}
}

func TestMultipartIsReadBack(t *testing.T) { // RFC 2046 §5.1.1
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 1, 300),
			// the characters of delimiters
			rapid.SliceOfN(rapid.SampledFrom([]byte("\r\n-")), 1, 300),
		).Draw(t, "body")
		size := int64(len(body))
		parts := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) httpcache.Part {
			first := rapid.Int64Range(0, size-1).Draw(t, "first")
			return httpcache.Part{
				First: first, Last: rapid.Int64Range(first, size-1).Draw(t, "last"),
			}
		}), 1, 16).Draw(t, "parts")
		boundary := rapid.StringMatching(`[0-9A-Za-z]{32,70}`).Draw(t, "boundary")
		contentType := rapid.SampledFrom(
			[]string{"", "text/plain; charset=utf-8", `application/x; a="b;c"`}).Draw(t, "type")

		sent := multipartOf(boundary, contentType, parts, body)
		if n := httpcache.MultipartLength(boundary, contentType, parts,
			size); n != int64(len(sent)) {
			t.Fatalf("length %d; want %d", n, len(sent))
		}
		kind, params, err := mime.ParseMediaType(httpcache.MultipartType(boundary))
		if err != nil || kind != "multipart/byteranges" || len(params) != 1 {
			t.Fatal(kind, params, err)
		}
		r := multipart.NewReader(bytes.NewReader(sent), params["boundary"])
		for _, p := range parts {
			part, err := r.NextRawPart()
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(part)
			if err != nil || !bytes.Equal(got, body[p.First:p.Last+1]) {
				t.Fatalf("%v: %q, %v", p, got, err)
			}
			if want := fmt.Sprintf("bytes %d-%d/%d",
				p.First, p.Last, size); part.Header.Get("Content-Range") != want {
				t.Fatalf("%v; want %s", part.Header, want)
			}
			if part.Header.Get("Content-Type") != contentType ||
				contentType == "" && len(part.Header) != 1 {
				t.Fatalf("%v; want %s", part.Header, contentType)
			}
		}
		if _, err := r.NextRawPart(); err != io.EOF {
			t.Fatalf("another part: %v", err)
		}
	})
}
