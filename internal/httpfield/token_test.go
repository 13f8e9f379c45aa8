package httpfield

import (
	"net/http"
	"testing"
)

// FuzzCanonicalName compares with net/http, which leaves a name that is no token as it is.
func FuzzCanonicalName(f *testing.F) {
	for _, s := range []string{
		"", "Etag", "ETag", "etag", "X-Request-Id", "x-request-id", "X-REQUEST-ID", "x_Y", "1a-b",
		"-", "--A", "Etag ", "etag ", "E\x80", "e:", "Content-Length", "*",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name, ok := CanonicalName(s)
		if ok != IsToken(s) || ok && name != http.CanonicalHeaderKey(s) {
			t.Errorf("%q: %q, %t", s, name, ok)
		}
	})
}
