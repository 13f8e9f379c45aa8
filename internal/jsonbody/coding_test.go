package jsonbody

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
)

// codings are writers of every coding that Unpack reads.
var codings = map[string]func(io.Writer) io.WriteCloser{
	"gzip": func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
	"br":   func(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) },
	"zstd": func(w io.Writer) io.WriteCloser {
		z, err := zstd.NewWriter(w)
		if err != nil {
			panic(err)
		}
		return z
	},
}

func packed(t testing.TB, coding, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := codings[coding](&b)
	if _, err := io.WriteString(z, content); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestUnpackReadsWholeContentUpToItsLimit(t *testing.T) {
	const content = `{"id": "a", "text": "some text that can be packed, some text that can be packed"}`
	for coding := range codings {
		t.Run(coding, func(t *testing.T) {
			whole := packed(t, coding, content)
			if got, ok := Unpack(whole, " "+strings.ToUpper(coding), int64(len(content))); !ok ||
				string(got) != content {
				t.Errorf("%q, %t", got, ok)
			}
			if _, ok := Unpack(whole, coding, int64(len(content))-1); ok {
				t.Error("read beyond its limit")
			}
			if _, ok := Unpack(whole[:len(whole)-1], coding, 1<<20); ok {
				t.Error("read though cut off")
			}
			if _, ok := Unpack(append(whole[:len(whole):len(whole)], "more"...),
				coding, 1<<20); ok {
				t.Error("read though something follows")
			}
			if _, ok := Unpack(packed(t, coding, strings.Repeat("a", 64<<20)), coding, 1<<20); ok {
				t.Error("a bomb was read")
			}
		})
	}
}

func TestABrotliWindowOverFourMiBIsNotRead(t *testing.T) {
	for bits := 10; bits <= 24; bits++ {
		var b bytes.Buffer
		z := brotli.NewWriterOptions(&b, brotli.WriterOptions{Quality: 5, LGWin: bits})
		_, _ = io.WriteString(z, "content")
		_ = z.Close()
		if _, ok := Unpack(b.Bytes(), "br", 1<<20); ok != (bits <= 22) {
			t.Errorf("%d bits: %t, the first byte says %d", bits, ok, brotliWindow(b.Bytes()[0]))
		}
	}
}

func FuzzUnpack(f *testing.F) {
	for coding := range codings {
		f.Add(packed(f, coding, `{"id": "a"}`), coding)
	}
	f.Add([]byte("{}"), "identity")
	f.Add([]byte{}, "br")
	f.Fuzz(func(t *testing.T, content []byte, coding string) {
		if got, ok := Unpack(content, coding, 1<<16); ok && len(got) > 1<<16 && coding != "" &&
			coding != "identity" {
			t.Errorf("%d bytes", len(got))
		}
	})
}
