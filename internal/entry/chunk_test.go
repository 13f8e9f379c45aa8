package entry

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func chunksOf(size int64, each int) *Chunks {
	return &Chunks{ID: BodyID([]byte(anID)), Size: size, Each: each}
}

// TestChunksAreTheWholeBody cuts bodies in every way, and puts them together again.
func TestChunksAreTheWholeBody(t *testing.T) {
	e := made(t, nil)
	rapid.Check(t, func(t *rapid.T) {
		body := bytes.Repeat(rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, "part"),
			rapid.IntRange(1, 300).Draw(t, "repeat"))
		p := chunksOf(int64(len(body)),
			rapid.IntRange(max(1, len(body)/50), len(body)+2).Draw(t, "each"))
		var got, room []byte
		for n := range p.Count() {
			begin := p.Begin(n)
			b := e.EncodeChunk([]byte("before"), p.ID, n,
				body[begin:begin+int64(p.Len(n))])[len("before"):]
			content, err := p.Decode(b, n, &room)
			if err != nil {
				t.Fatal(err)
			}
			if p.Of(begin) != n || p.Of(begin+int64(len(content))-1) != n {
				t.Fatalf("chunk %d has the bytes from %d on, of %d and %d",
					n, begin, p.Of(begin), p.Of(begin+int64(len(content))-1))
			}
			got = append(got, content...)
		}
		if !bytes.Equal(got, body) || p.Begin(p.Count()) < p.Size {
			t.Fatalf("got %d bytes in %d chunks; want %d", len(got), p.Count(), len(body))
		}
	})
}

func TestADamagedChunkIsFound(t *testing.T) {
	e, p := made(t, nil), chunksOf(10_000, 2000)
	for _, content := range [][]byte{bytes.Repeat([]byte("x"), 2000), noise(2000)} {
		whole := e.EncodeChunk(nil, p.ID, 3, content)
		if _, err := p.Decode(whole, 3, new([]byte)); err != nil {
			t.Fatal(err)
		}
		for n := range whole {
			damaged := bytes.Clone(whole)
			damaged[n] ^= 1 << (n % 8)
			for _, b := range [][]byte{whole[:n], damaged} {
				if _, err := p.Decode(b, 3, new([]byte)); !errors.Is(err, ErrDamaged) {
					t.Fatalf("byte %d of %d: %v", n, len(whole), err)
				}
			}
		}
		if _, err := p.Decode(append(whole, 0), 3, new([]byte)); !errors.Is(err, ErrDamaged) {
			t.Fatalf("a byte too many: %v", err)
		}
	}
}

func TestAnotherChunkIsNotTakenForThisOne(t *testing.T) {
	e, p := made(t, nil), chunksOf(9_000, 2000)
	other := *p
	other.ID[15]++
	content := noise(2000)
	for rule, b := range map[string][]byte{
		"of another body":     e.EncodeChunk(nil, other.ID, 3, content),
		"another of the same": e.EncodeChunk(nil, p.ID, 2, content),
		"shorter":             e.EncodeChunk(nil, p.ID, 3, content[:1999]),
		"an entry":            e.Encode(nil),
		"nothing":             nil,
	} {
		if _, err := p.Decode(b, 3, new([]byte)); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", rule, err)
		}
	}
	if _, err := p.Decode(e.EncodeChunk(nil, p.ID, 4, content[:1000]), 4, new([]byte)); err != nil {
		t.Errorf("the last one, which is shorter: %v", err)
	}
	if _, err := Decode(e.EncodeChunk(nil, p.ID, 3, content),
		anyLength); !errors.Is(err, ErrDamaged) {
		t.Errorf("a chunk was decoded as an entry: %v", err)
	}
}

func TestChunkCoding(t *testing.T) {
	p := chunksOf(1<<20, 256<<10)
	for _, tt := range []struct {
		rule, coding string
		content      []byte
		coded        bool
	}{
		{"one that shrinks is coded", "",
			[]byte(strings.Repeat(`{"id": 1, "name": "Bilbo"},`, p.Each)[:p.Each]), true},
		{"one that shrinks to nearly nothing too, for its size is known", "",
			make([]byte, p.Each), true},
		{"one that would not shrink is not", "", noise(p.Each), false},
		{"one that the backend has coded is not", "gzip", make([]byte, p.Each), false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			fields := http.Header{}
			if tt.coding != "" {
				fields["Content-Encoding"] = []string{tt.coding}
			}
			e, err := New(200, fields)
			if err != nil {
				t.Fatal(err)
			}
			b := e.EncodeChunk(nil, p.ID, 0, tt.content)
			if isCoded := len(b) < len(tt.content); isCoded != tt.coded ||
				len(b) > len(tt.content)+40 {
				t.Errorf("a chunk of %d bytes became a record of %d", len(tt.content), len(b))
			}
			if got, err := p.Decode(b, 0, new([]byte)); err != nil ||
				!bytes.Equal(got, tt.content) {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

func FuzzDecodeChunk(f *testing.F) {
	e, p := made(f, nil), chunksOf(5000, 2000)
	f.Add(e.EncodeChunk(nil, p.ID, 1, noise(2000)))
	f.Add(e.EncodeChunk(nil, p.ID, 1, make([]byte, 2000)))
	f.Add(e.EncodeChunk(nil, p.ID, 2, make([]byte, 1000)))
	f.Add(e.Encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < metaStart {
			b = append(b, make([]byte, metaStart)...)
		}
		b = seal(bytes.Clone(b), 0) // else nothing would get past the checksum
		content, err := p.Decode(b, 1, new([]byte))
		if err != nil {
			return
		}
		if len(content) != p.Len(1) {
			t.Fatalf("%d bytes", len(content))
		}
		if again, err := p.Decode(e.EncodeChunk(nil, p.ID, 1, content), 1,
			new([]byte)); err != nil || !bytes.Equal(again, content) {
			t.Fatalf("encoded anew: %v", err)
		}
	})
}
