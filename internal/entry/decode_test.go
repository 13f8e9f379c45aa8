package entry

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/http"
	"net/textproto"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestDamageIsFound(t *testing.T) {
	for _, body := range [][]byte{nil, []byte("short"), []byte(strings.Repeat("long ", 500))} {
		whole := made(t, body).Encode(nil)
		if _, err := Decode(whole, anyLength); err != nil {
			t.Fatal(err)
		}
		for n := range whole {
			if _, err := Decode(whole[:n], anyLength); !errors.Is(err, ErrDamaged) {
				t.Fatalf("cut to %d of %d bytes: %v", n, len(whole), err)
			}
			for bit := range 8 {
				damaged := bytes.Clone(whole)
				damaged[n] ^= 1 << bit
				if _, err := Decode(damaged, anyLength); !errors.Is(err, ErrDamaged) {
					t.Fatalf("bit %d of byte %d of %d: %v", bit, n, len(whole), err)
				}
			}
		}
		if _, err := Decode(append(whole, 0), anyLength); !errors.Is(err, ErrDamaged) {
			t.Fatalf("a byte too many: %v", err)
		}
	}
}

// record makes an entry whose checksum is right, with this meta, head and body.
func record(numbers []int64, vary string, headSize int, how form, size int, rest string) []byte {
	b := appendPreamble(nil, KindEntry)
	b = binary.AppendUvarint(b, uint64(numbers[0]))
	for _, n := range numbers[1:] {
		b = binary.AppendVarint(b, n)
	}
	b = append(b, vary...)
	b = append(b, 0) // no cookies
	b = binary.AppendUvarint(b, uint64(headSize))
	b = append(b, byte(how))
	b = binary.AppendUvarint(b, uint64(size))
	return seal(append(b, rest...), 0)
}

// anID is that of a body in chunks.
const anID = "0123456789abcdef"

func TestWholeRecordsThatSayNonsense(t *testing.T) {
	fine := []int64{200, 1, 2, 3, 0, 0, 0}
	coded := func(body []byte) string {
		w, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		return string(w.EncodeAll(body, nil))
	}
	long := bytes.Repeat([]byte("x"), 5000)
	for _, tt := range []struct {
		rule string
		b    []byte
		want error
	}{
		{"a record that is fine", record(fine, "\x01\x01A", 6, plain, 2, "A: 1\r\nok"), nil},
		{"a coded one", record(fine, "\x00", 0, zstandard, 5000, coded(long)), nil},
		{"an informational status", record([]int64{100, 1, 2, 3, 0, 0, 0}, "\x00", 0, plain, 0, ""),
			ErrDamaged},
		{"a status that is none", record([]int64{1000, 1, 2, 3, 0, 0, 0}, "\x00", 0, plain, 0, ""),
			ErrDamaged},
		{"a Vary that is no token", record(fine, "\x01\x01:", 0, plain, 0, ""), ErrDamaged},
		{"an empty name", record(fine, "\x01\x00", 0, plain, 0, ""), ErrDamaged},
		{"more names than there are bytes",
			record(fine, "\xff\xff\xff\x7f", 0, plain, 0, ""), ErrDamaged},
		{"a name longer than the record", record(fine, "\x01\x7f", 0, plain, 0, ""), ErrDamaged},
		{"a number that does not end",
			record(fine, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 0, plain, 0, ""),
			ErrDamaged},
		{"a head longer than the record",
			record(fine, "\x00", 60, plain, 0, "A: 1\r\n"), ErrDamaged},
		{"a head that ends in mid-line", record(fine, "\x00", 5, plain, 1, "A: 1\r\n"), ErrDamaged},
		{"a head with an empty line", record(fine, "\x00", 8, plain, 0, "A: 1\r\n\r\n"),
			ErrDamaged},
		{"a bare LF", record(fine, "\x00", 12, plain, 0, "A: 1\nB: 2\r\n"+"x"), ErrDamaged},
		{"a line without a colon", record(fine, "\x00", 3, plain, 0, "A\r\n"), ErrDamaged},
		{"a folded line", record(fine, "\x00", 10, plain, 0, "A: 1\r\n 2\r\n"), ErrDamaged},
		{"a field that frames", record(fine, "\x00", 19, plain, 0, "Content-Length: 5\r\n"),
			ErrDamaged},
		{"in another spelling", record(fine, "\x00", 19, plain, 0, "content-length: 5\r\n"),
			ErrDamaged},
		{"fields that are sorted", record(fine, "\x00", 18, plain, 0, "A: 1\r\nB: 2\r\nB: 3\r\n"),
			nil},
		{"fields that are not", record(fine, "\x00", 18, plain, 0, "A: 1\r\nB: 2\r\nA: 3\r\n"),
			ErrDamaged},
		{"a body shorter than it says", record(fine, "\x00", 0, plain, 3, "ab"), ErrDamaged},
		{"a body longer than it says", record(fine, "\x00", 0, plain, 1, "ab"), ErrDamaged},
		{"a coded body shorter than it says",
			record(fine, "\x00", 0, zstandard, 5001, coded(long)), ErrDamaged},
		{"a coded body longer than it says",
			record(fine, "\x00", 0, zstandard, 4999, coded(long)), ErrDamaged},
		{"a coded body that is no zstd",
			record(fine, "\x00", 0, zstandard, 5, "hello"), ErrDamaged},
		{"something behind the coded body",
			record(fine, "\x00", 0, zstandard, 5000, coded(long)+"x"), ErrDamaged},
		{"a part", record([]int64{206, 1, 2, 3, 0, 4, 6}, "\x00", 0, plain, 2, "ab"), nil},
		{"a part that is longer than the whole",
			record([]int64{206, 1, 2, 3, 0, 5, 6}, "\x00", 0, plain, 2, "ab"), ErrDamaged},
		{"a part that begins before it",
			record([]int64{206, 1, 2, 3, 0, -1, 6}, "\x00", 0, plain, 2, "ab"), ErrDamaged},
		{"a part that begins behind it",
			record([]int64{206, 1, 2, 3, 0, 7, 6}, "\x00", 0, plain, 0, ""), ErrDamaged},
		{"a part of nothing", record([]int64{206, 1, 2, 3, 0, 1, 0}, "\x00", 0, plain, 0, ""),
			ErrDamaged},
		{"a form that nobody knows", record(fine, "\x00", 0, 7, 0, ""), ErrDamaged},
		{"a body in chunks", record(fine, "\x00", 0, chunks, 50<<20, anID+"\x80\x80\x10"), nil},
		{"in as many as there may be",
			record(fine, "\x00", 0, chunks, MaxChunks, anID+"\x01"), nil},
		{"in one more", record(fine, "\x00", 0, chunks, MaxChunks+1, anID+"\x01"), ErrDamaged},
		{"in none", record(fine, "\x00", 0, chunks, 0, anID+"\x80\x80\x10"), ErrDamaged},
		{"in chunks of nothing", record(fine, "\x00", 0, chunks, 1, anID+"\x00"), ErrDamaged},
		{"in chunks of any size", record(fine, "\x00", 0, chunks, 50<<20, anID+"\x80\x80\x80\x02"),
			nil},
		{"in chunks that are too large",
			record(fine, "\x00", 0, chunks, 50<<20, anID+"\x81\x80\x80\x02"), ErrDamaged},
		{"in chunks of a short id", record(fine, "\x00", 0, chunks, 50<<20, anID[2:]+"\x01"),
			ErrDamaged},
		{"something behind where the chunks are",
			record(fine, "\x00", 0, chunks, 50<<20, anID+"\x80\x80\x10x"), ErrDamaged},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			e, err := Decode(tt.b, anyLength)
			if !errors.Is(err, tt.want) || (e == nil) != (err != nil) {
				t.Errorf("got %v, %v; want %v", e, err, tt.want)
			}
		})
	}
}

func TestAnotherVersionIsNotRead(t *testing.T) {
	b := made(t, nil).Encode(nil)
	b[preamble-1]++
	b = seal(b, 0)
	if _, err := Decode(b, anyLength); !errors.Is(err, ErrDamaged) || KindOf(b) != Unknown {
		t.Errorf("got %v, kind %v", err, KindOf(b))
	}
}

// TestNoBombUnpacks feeds frames that unpack to far more than their record says or justifies.
func TestNoBombUnpacks(t *testing.T) {
	const huge = 512 << 20
	rle := func(header ...byte) string { // blocks of 128 KiB of one byte, each 4 bytes long
		b := append([]byte{0x28, 0xb5, 0x2f, 0xfd}, header...)
		for range huge / (128 << 10) {
			b = append(b, 0x02, 0x00, 0x10, 'x')
		}
		return string(b)
	}
	unsized := rle(0x00, 0x58) // window of 2 MiB, no content size
	sized := rle(0xa0, 0, 0, 0, 0x20)
	for _, tt := range []struct {
		rule string
		b    []byte
	}{
		{"a frame that does not say its size",
			record([]int64{200, 1, 2, 3, 0, 0, 0}, "\x00", 0, zstandard, 5000, unsized)},
		{"a frame that says it",
			record([]int64{200, 1, 2, 3, 0, 0, 0}, "\x00", 0, zstandard, 5000, sized)},
		{"a record that says it too",
			record([]int64{200, 1, 2, 3, 0, 0, 0}, "\x00", 0, zstandard, huge, sized)},
		{"a frame with a giant window",
			record([]int64{200, 1, 2, 3, 0, 0, 0}, "\x00", 0, zstandard, 100,
				rle(0x00, 0xf8)[:100])},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Decode(tt.b, anyLength)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("got %v", err)
			}
			if got := after.TotalAlloc - before.TotalAlloc; got > 32<<20 {
				t.Errorf("%d bytes allocated for a record of %d", got, len(tt.b))
			}
		})
	}
}

func TestKinds(t *testing.T) {
	e, x := made(t, nil).Encode(nil), Index{}.Encode(nil)
	if KindOf(e) != KindEntry || KindOf(x) != KindIndex || KindOf(nil) != Unknown ||
		KindOf([]byte("sc?1....")) != Unknown {
		t.Error("kinds are mixed up")
	}
	if _, err := Decode(x, anyLength); !errors.Is(err, ErrDamaged) {
		t.Errorf("an index was decoded as an entry: %v", err)
	}
	if _, ok := DecodeIndex(e); ok {
		t.Error("an entry was decoded as an index")
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(made(f, nil).Encode(nil))
	f.Add(made(f, []byte("body")).Encode(nil))
	f.Add(made(f, bytes.Repeat([]byte("long body "), 200)).Encode(nil))
	f.Add(Index{Vary: []string{"A"}, Variants: []Variant{{ETag: `"b"`}}}.Encode(nil))
	f.Add(record([]int64{200, 1, 2, 3, 0, 0, 0}, "\x00", 0, chunks, 50, "x"))
	f.Add(record([]int64{200, 1, 2, 3, 0, 0, 0}, "\x00", 0, chunks, 50<<20, anID+"\x80\x80\x10"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < metaStart {
			b = append(b, make([]byte, metaStart)...)
		}
		b = seal(bytes.Clone(b), 0) // else nothing would get past the checksum
		e, err := Decode(b, anyLength)
		if err != nil {
			if e != nil {
				t.Fatal("an entry and an error")
			}
			return
		}
		if _, err := http.ReadResponse(
			bufio.NewReader(strings.NewReader("HTTP/1.1 200 OK\r\n"+string(e.Head())+"\r\n")),
			nil); err != nil {
			t.Fatalf("head %q: %v", e.Head(), err)
		}
		again, err := Decode(e.Encode(nil), anyLength)
		if err != nil {
			t.Fatal(err)
		}
		same(t, again, e)
	})
}

// FuzzHead holds isHead and Fields against the reader of net/textproto.
func FuzzHead(f *testing.F) {
	for _, s := range []string{
		"", "A: 1\r\n", "A: 1\r\nB: 2\r\nA: 3\r\n", "A:1\r\n", "A: 1\n", "A: \r\n", "A:  x\r\n",
		" A: 1\r\n", "A: 1\r\n B\r\n", "A : 1\r\n",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !isHead([]byte(s)) {
			return
		}
		want, err := textproto.NewReader(bufio.NewReader(strings.NewReader(s + "\r\n"))).
			ReadMIMEHeader()
		if err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if got := (&Entry{head: s}).Fields(); !reflect.DeepEqual(got, http.Header(want)) {
			t.Fatalf("%q: got %q; want %q", s, got, want)
		}
		if e, err := New(200, (&Entry{head: s}).Fields()); err != nil || len(e.Head()) != len(s) {
			t.Fatalf("%q: written anew: %v", s, err)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for name, body := range map[string][]byte{
		"1KB": make([]byte, 1000), "2KB": bytes.Repeat([]byte(`{"id": 12, "name": "Bilbo"} `), 72),
	} {
		b.Run(name, func(b *testing.B) {
			record := made(b, body).Encode(nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Decode(record, anyLength); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// anyLength is a limit for tests that are about something else.
const anyLength = 1 << 30

func TestABodyBeyondTheLimitIsNotUnpacked(t *testing.T) {
	const size = 64 << 20
	body := make([]byte, size)
	_, _ = rand.Read(body[:size/maxRatio]) // incompressible bytes keep the ratio possible
	coded := encoders.Get().(*zstd.Encoder).EncodeAll(body, nil)
	forged := record([]int64{200, 1, 2, 3, 0, 0, 0}, "\x00", 0, zstandard, size, string(coded))
	if _, err := Decode(forged, size); err != nil {
		t.Fatal("the record is no entry under a higher limit either: ", err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Decode(forged, 1<<20)
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("over the limit: %v", err)
	}
	if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
		t.Errorf("%d bytes are allocated for a record of %d", allocated, len(forged))
	}
}
