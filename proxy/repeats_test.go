package proxy_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

// An answer that repeats the value of a cookie that is in no key is stored for nobody.
func TestAnAnswerThatRepeatsACookieOutsideTheKeyIsNotStored(t *testing.T) {
	t.Parallel()
	const token = "tok%2Fen-12345678"
	pad := strings.Repeat("x", 3<<20)
	zip := func(content string) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, content)
		_ = z.Close()
		return b.String()
	}
	pack := func(content string) string {
		var b bytes.Buffer
		z := brotli.NewWriter(&b)
		_, _ = io.WriteString(z, content)
		_ = z.Close()
		return b.String()
	}
	wide := func(content string) string { return strings.Join(strings.Split(content, ""), "\x00") }
	for _, tt := range []struct {
		name, cookie string
		fields       []string // of the answer
		body         string
		hit          bool
	}{
		{"the value", "csrf=" + token, nil, "a " + token + " b", false},
		{"decoded", "csrf=" + token, nil, "a tok/en-12345678 b", false},
		{"without its quotes", `csrf="` + token + `"`, nil, "a " + token, false},
		{"in a field", "csrf=" + token, []string{"X-Csrf: " + token}, "a", false},
		{"coded", "csrf=" + token, []string{"Content-Encoding: gzip"}, zip("a " + token), false},
		{"in br", "csrf=" + token, []string{"Content-Encoding: br"}, pack("a " + token), false},
		{"in br that is none", "csrf=" + token, []string{"Content-Encoding: br"}, "a", false},
		{"in a coding unknown here", "csrf=" + token,
			[]string{"Content-Encoding: compress"}, "a", false},
		{"in UTF-16", "csrf=" + token, []string{"Content-Type: text/html; charset=UTF-16LE"},
			wide("a " + token), false},
		{"in UTF-16 by its first character", "csrf=" + token, nil,
			"\xff\xfe" + wide("a "+token), false},
		{"escaped in HTML", "csrf=abc+d/efghi=", nil, `<input value="abc&#43;d/efghi=">`, false},
		{"escaped in JSON", "csrf=abc+d%2Fefghi%3D", nil, `{"csrf":"abc+d\/efghi="}`, false},
		{"escaped in JSON by Gson", "csrf=abcd/efghi==", nil,
			`{"csrf":"abcd/efghi\u003d\u003d"}`, false},
		{"escaped by Twig", "csrf=abc+d/efghi=", nil, `var t="abc\u002Bd\/efghi\u003D"`, false},
		{"in a link", "csrf=abc+d/efghi=", nil, `<a href="?csrf=abc%2Bd%2Fefghi%3D">`, false},
		{"in a link, in small letters", "csrf=abc%2Bd/efghi%3D", nil,
			`<a href="?csrf=abc%2bd%2fefghi%3d">`, false},
		{"of a raw cookie", `csrf={"a"}345678`, nil, `{"a"}345678`, false},
		{"in chunks", "csrf=" + token, nil, pad + token + pad, false},
		{"coded, in chunks", "csrf=" + token, []string{"Content-Encoding: compress"}, pad, false},
		{"in UTF-16, in chunks", "csrf=" + token,
			[]string{"Content-Type: text/html; charset=UTF-16LE"}, wide(pad), false},
		{"of a cookie that is dropped", "session=1; drop=1",
			[]string{"Set-Cookie: drop=" + token}, token, false},

		{"another value", "csrf=" + token, nil, "a tok/en-12345679 b", true},
		{"a short value", "csrf=1234567", nil, "a 1234567 b", true},
		{"a cookie that is in the key", "session=" + token, nil, "a " + token, true},
		{"Vary: Cookie", "csrf=" + token, []string{"Vary: Cookie"}, "a " + token, true},
		{"coded, without it", "csrf=" + token, []string{"Content-Encoding: gzip"}, zip("a"), true},
		{"br, without it", "csrf=" + token, []string{"Content-Encoding: br"}, pack("a"), true},
		{"coded, in chunks, without such a cookie", "session=1",
			[]string{"Content-Encoding: compress"}, pad, true},
		{"an unknown coding, without such a cookie", "session=1",
			[]string{"Content-Encoding: compress"}, "a", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := backendThat(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				for _, f := range tt.fields {
					name, value, _ := strings.Cut(f, ": ")
					w.Header().Add(name, value)
				}
				_, _ = io.WriteString(w, tt.body)
			})
			s := start(t, b,
				`routes: [{match: "GET /form", cache: {scope: private, ttl: 1m, max_body: 16MiB, set_cookie: {drop: [drop]}}}]`)
			ask := func() answer {
				return s.get("/form", "Cookie: "+tt.cookie, "Accept-Encoding: gzip, br")
			}
			if got := ask(); got.body != tt.body || got.err != nil {
				t.Fatalf("%d bytes, %v", len(got.body), got.err)
			}
			if tt.hit {
				await(t, "the answer is stored",
					func() bool { return strings.HasPrefix(ask().cache(), "hit") })
				return
			}
			for range 3 {
				if got := ask(); strings.HasPrefix(got.cache(), "hit") || got.body != tt.body {
					t.Errorf("%q", got.cache())
				}
			}
		})
	}
}
