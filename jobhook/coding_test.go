package jobhook

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"sidecar/internal/jobs"
)

// coded is a text in a coding.
func coded(t *testing.T, coding, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	switch coding {
	case "gzip":
		z := gzip.NewWriter(&b)
		_, _ = z.Write([]byte(text))
		_ = z.Close()
	case "br":
		z := brotli.NewWriter(&b)
		_, _ = z.Write([]byte(text))
		_ = z.Close()
	case "zstd":
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		return z.EncodeAll([]byte(text), nil)
	default:
		return []byte(text)
	}
	return b.Bytes()
}

// The API has chosen a coding for the client of the POST. Another one fetches the result.
func TestAResultComesInACodingThatItsReaderAccepts(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a sword, ", 100)
	for _, c := range []struct {
		coding, accept string
		fields         http.Header
		status         int
		as             string // the coding that the reader gets; "" for none
	}{
		{coding: "gzip", accept: "gzip, br", status: 201, as: "gzip"},
		{coding: "gzip", accept: "X-GZIP;q=0.5", status: 201, as: "gzip"},
		{coding: "gzip", accept: "*", status: 201, as: "gzip"},
		{coding: "gzip", accept: "identity", status: 201},
		{coding: "gzip", accept: "", status: 201},
		{coding: "gzip", accept: "br, *;q=0, identity", status: 201},
		{coding: "gzip", accept: "gzip;q=0", status: 201},
		{coding: "br", accept: "gzip", status: 201},
		{coding: "zstd", accept: "gzip", status: 201},
		{coding: "", accept: "gzip", status: 201},
		{coding: "gzip", accept: "br, identity;q=0", status: 406},
		{coding: "deflate", accept: "gzip", status: 406},
		{coding: "gzip, gzip", accept: "br", status: 406},
		{coding: "gzip, gzip", accept: "gzip", status: 201, as: "gzip, gzip"},
		{coding: "gzip", accept: "br", status: 406,
			fields: http.Header{"Cache-Control": {"no-transform"}}},
		{coding: "gzip", accept: "br", status: 406,
			fields: http.Header{"Content-Range": {"bytes 0-9/20"}}},
	} {
		body := coded(t, c.coding, text)
		fields := http.Header{"Etag": {`"1"`}, "Repr-Digest": {"sha-256=:AAAA:"}}
		if c.coding != "" {
			fields["Content-Encoding"] = []string{c.coding}
		}
		for name, values := range c.fields {
			fields[name] = values
		}
		response := &jobs.Response{Status: 201, Fields: fields, Body: body}
		coding, ok := recode(response, []string{c.accept})
		if ok != (c.status == 201) || coding != c.coding {
			t.Errorf("%q for %q: %q, %t", c.coding, c.accept, coding, ok)
			continue
		}
		untouched := !ok || c.as == c.coding
		want := map[bool]string{true: string(body), false: text}[untouched]
		if string(response.Body) != want || ok && fields.Get("Content-Encoding") != c.as {
			t.Errorf("%q for %q: %v", c.coding, c.accept, fields)
		}
		tag, digest := fields.Get("Etag"), fields.Get("Repr-Digest")
		if kept := tag == `"1"` && digest != ""; kept != untouched || !untouched && tag != `W/"1"` {
			t.Errorf("%q for %q: %v", c.coding, c.accept, fields)
		}
	}
}

func TestAResultIsUncodedForAReaderWithoutItsCoding(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("a sword, ", 100)
	f := newFront(t, shared, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		w.WriteHeader(201)
		_, _ = w.Write(coded(t, "br", text))
	}, nil)
	path := f.accept(alice)
	f.await(path, alice)
	for _, method := range []string{"GET", "HEAD"} {
		plain := f.ask(method, path+"/result", "", alice, "Accept-Encoding: identity")
		if plain.status != 201 || plain.fields["Content-Encoding"] != nil ||
			plain.fields.Get("Content-Length") != "900" ||
			method == "GET" && plain.body != text {
			t.Errorf("%s: %d %v %s", method, plain.status, plain.fields, plain.body)
		}
	}
	asSent := f.ask("GET", path+"/result", "", alice, "Accept-Encoding: gzip, br")
	if asSent.fields.Get("Content-Encoding") != "br" ||
		asSent.body != string(coded(t, "br", text)) {
		t.Errorf("%d %v", asSent.status, asSent.fields)
	}
}
