package entry

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestForm pins the stored form: who changes it has to change Version too, or sidecars of two
// releases would take each other's records for damaged.
func TestForm(t *testing.T) {
	e, err := New(404, http.Header{"Etag": {`"x"`}})
	if err != nil {
		t.Fatal(err)
	}
	e.ResponseTime, e.InitialAge, e.Lifetime = At(time.Unix(1, 0)), time.Second, time.Minute
	e.Vary, e.Until, e.Body = []string{"Accept"}, At(time.Unix(2, 0)), []byte("no")
	const want = "7363" + "45" + "32" + "ec9b8ff9" + // magic, kind, version, checksum
		// status, time, age, lifetime, end, no part
		"9403" + "80a8d6b907" + "80a8d6b907" + "80e0ba84bf03" + "80d0acf30e" + "00" + "00" +
		"01" + "06" + "416363657074" + "00" + // Vary: Accept; no cookies
		"0b" + "00" + "02" + // head of 11 bytes, plain body of 2
		"457461673a202278220d0a" + "6e6f"
	if got := hex.EncodeToString(e.Encode(nil)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	e.Body, e.Chunks = nil, &Chunks{ID: BodyID([]byte(anID)), Size: 50 << 20, Each: 256 << 10}
	const inChunks = "7363" + "45" + "32" + "a2afe1e8" +
		"9403" + "80a8d6b907" + "80a8d6b907" + "80e0ba84bf03" + "80d0acf30e" + "00" + "00" + "01" +
		"06" + "416363657074" + "00" +
		"0b" + "02" + "80808019" + // head of 11 bytes, a body of 50 MiB in chunks
		"457461673a202278220d0a" + "30313233343536373839616263646566" + "808010"
	if got := hex.EncodeToString(e.Encode(nil)); got != inChunks {
		t.Errorf("got  %s\nwant %s", got, inChunks)
	}
	// the 200th: plain, of 2 bytes
	const chunk = "7363" + "50" + "32" + "dcceda9d" + "30313233343536373839616263646566" + "c801" +
		"00" + "02" + "6e6f"
	if got := hex.EncodeToString(e.EncodeChunk(nil, e.Chunks.ID, 200, []byte("no"))); got != chunk {
		t.Errorf("got  %s\nwant %s", got, chunk)
	}
	const index = "7363" + "49" + "32" + "9d8eb4fa" + "00" + "01" + "06" + "416363657074" + "01" +
		"6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b" + "03" + "226122"
	variant := Variant{Key: [16]byte([]byte("kkkkkkkkkkkkkkkk")), ETag: `"a"`}
	if got := hex.EncodeToString(Index{
		Vary: []string{"Accept"}, Variants: []Variant{variant},
	}.Encode(nil)); got != index {
		t.Errorf("got  %s\nwant %s", got, index)
	}
}

// anEntry draws an entry.
func anEntry(t *rapid.T) *Entry {
	name := rapid.Map(rapid.StringMatching(`[A-Za-z0-9!#_-]{1,12}`), http.CanonicalHeaderKey)
	value := rapid.Map(rapid.StringMatching(`[\x20-\x7e\t\x{80}-\x{ff}]{0,20}`),
		func(s string) string { return strings.Trim(s, " \t") })
	fields := rapid.MapOfN(name, rapid.SliceOfN(value, 1, 3), 0, 8).Draw(t, "fields")
	e, err := New(rapid.IntRange(200, 999).Draw(t, "status"), fields)
	if err != nil {
		t.Fatal(err)
	}
	for n := range fields {
		if isPerAnswer(n) {
			delete(fields, n)
		}
	}
	if !reflect.DeepEqual(map[string][]string(e.Fields()), fields) {
		t.Fatalf("got fields %q; want %q", e.Fields(), fields)
	}
	e.Vary = rapid.SliceOfN(name, 0, 4).Draw(t, "vary")
	e.Cookies = rapid.SliceOfN(rapid.StringMatching(`.{1,9}`), 0, 2).Draw(t, "cookies")
	if len(e.Vary) == 0 {
		e.Vary = nil
	}
	if len(e.Cookies) == 0 {
		e.Cookies = nil
	}
	e.ResponseTime = Instant(rapid.Int64().Draw(t, "time"))
	e.InitialAge = time.Duration(rapid.Int64().Draw(t, "age"))
	e.Lifetime = time.Duration(rapid.Int64().Draw(t, "lifetime"))
	e.Until = Instant(rapid.Int64().Draw(t, "until"))
	part := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "part")
	e.Body = bytes.Repeat(part, rapid.IntRange(0, 3000).Draw(t, "repeat"))
	if rapid.Bool().Draw(t, "part") {
		e.Offset = rapid.Int64Range(0, 1<<40).Draw(t, "offset")
		e.Total = e.Offset + int64(len(e.Body)) + rapid.Int64Range(1, 1<<40).Draw(t, "rest")
	} else if rapid.Bool().Draw(t, "chunks") {
		each := rapid.IntRange(1, MaxChunk).Draw(t, "each")
		e.Body, e.Chunks = nil, &Chunks{
			Size: rapid.Int64Range(1, int64(each)*MaxChunks).Draw(t, "size"), Each: each,
		}
		copy(e.Chunks.ID[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
	}
	return e
}

func TestDecodeGivesWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anEntry(t)
		dst := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "before")
		b := e.Encode(bytes.Clone(dst))
		if !bytes.HasPrefix(b, dst) {
			t.Fatal("Encode changed what stood before")
		}
		b = b[len(dst):]
		if KindOf(b) != KindEntry {
			t.Fatalf("kind %v", KindOf(b))
		}
		got, err := Decode(b, anyLength)
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, e)
		if again := got.Encode(nil); !bytes.Equal(again, b) {
			t.Fatal("encoded anew it is another record")
		}
	})
}

// TestHeadIsReadyToSend holds the head against net/http's own reader.
func TestHeadIsReadyToSend(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := anEntry(t)
		e.Status = max(e.Status, 305) // below are statuses without content
		message := fmt.Sprintf("HTTP/1.1 %d \r\n%sContent-Length: %d\r\n\r\n%s",
			e.Status, e.Head(), len(e.Body), e.Body)
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(message)), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || !bytes.Equal(body, e.Body) {
			t.Fatalf("got %d bytes, %v; want %d", len(body), err, len(e.Body))
		}
		resp.Header.Del("Content-Length")
		if !reflect.DeepEqual(resp.Header, e.Fields()) {
			t.Fatalf("got %q; want %q", resp.Header, e.Fields())
		}
	})
}

func TestOverheadIsSmall(t *testing.T) {
	e := made(t, bytes.Repeat([]byte{1, 2, 3}, 100))
	e.ResponseTime, e.InitialAge, e.Lifetime = At(time.Unix(0, math.MaxInt64)),
		math.MaxInt64, math.MaxInt64
	if got := len(e.Encode(nil)) - len(e.Head()) - len(e.Body); got > 100 {
		t.Errorf("%d bytes beyond head and body", got)
	}
}

func TestBodyCoding(t *testing.T) {
	json := []byte(strings.Repeat(`{"id": 1, "name": "Bilbo"},`, 100))
	noise := make([]byte, 4<<10)
	for i, x := 0, uint32(1); i < len(noise); i++ {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		noise[i] = byte(x)
	}
	for _, tt := range []struct {
		rule   string
		body   []byte
		coding string
		want   form
	}{
		{"a long body is coded", json, "", zstandard},
		{"a short one is not", json[:codeAbove], "", plain},
		{"one that would not shrink is not", noise, "", plain},
		{"one that the backend has coded is not", json, "gzip", plain},
		{"one that would shrink beyond what a reader believes is not",
			make([]byte, 4<<20), "", plain},
		{"a body over the encoder's window is coded",
			bytes.Repeat(noise, 2*window/len(noise)), "", zstandard},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			fields := http.Header{"Cache-Control": {"x"}}
			if tt.coding != "" {
				fields["Content-Encoding"] = []string{tt.coding}
			}
			e, err := New(200, fields)
			if err != nil {
				t.Fatal(err)
			}
			e.Body, e.ResponseTime = tt.body, At(time.Unix(0, 0))
			b := e.Encode(nil)
			if isCoded := len(b) < len(e.Body); isCoded != (tt.want == zstandard) {
				t.Errorf("a body of %d bytes became a record of %d", len(e.Body), len(b))
			}
			got, err := Decode(b, anyLength)
			if err != nil {
				t.Fatal(err)
			}
			same(t, got, e)
		})
	}
}
