package entry

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDecodeIndexGivesWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := Index{
			Search: rapid.StringMatching(`[a-z"=()]{0,9}`).Draw(t, "search"),
			Vary: append([]string(nil),
				rapid.SliceOfN(rapid.StringMatching(`[A-Za-z-]{1,9}`), 0, 5).Draw(t, "vary")...),
			Variants: append([]Variant(nil),
				rapid.SliceOfN(rapid.Custom(func(t *rapid.T) (v Variant) {
					copy(v.Key[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "key"))
					v.ETag = rapid.StringMatching(`(W/)?"[!-~]{0,9}"`).Draw(t, "etag")
					return v
				}), 0, MaxVariants).Draw(t, "variants")...),
		}
		b := x.Encode([]byte("before"))[len("before"):]
		got, ok := DecodeIndex(b)
		if !ok || !reflect.DeepEqual(got, x) {
			t.Fatalf("got %+v, %v; want %+v", got, ok, x)
		}
	})
}

func TestTheLatestVariantsAreKept(t *testing.T) {
	var x Index
	for i := range 3 * MaxVariants {
		x.Variants = x.With(Variant{
			Key: [16]byte{byte(i % (MaxVariants + 2))}, ETag: fmt.Sprintf(`"%d"`, i),
		})
	}
	if len(x.Variants) != MaxVariants {
		t.Fatalf("%d variants", len(x.Variants))
	}
	for i, v := range x.Variants {
		if want := fmt.Sprintf(`"%d"`, 3*MaxVariants-1-i); v.ETag != want {
			t.Errorf("variant %d is %s, want %s", i, v.ETag, want)
		}
	}
	for _, none := range []string{"", strings.Repeat("x", maxETag+1)} {
		if got := x.With(Variant{Key: x.Variants[0].Key, ETag: none}); len(got) != MaxVariants-1 {
			t.Errorf("with an ETag of %d bytes: %d variants", len(none), len(got))
		}
	}
}

func TestDamagedIndexIsNotRead(t *testing.T) {
	whole := Index{
		Search: "key-order", Vary: []string{"Accept"},
		Variants: []Variant{{Key: [16]byte{1}, ETag: `"a"`}},
	}.Encode(nil)
	for n := range whole {
		damaged := bytes.Clone(whole)
		damaged[n] ^= 0x10
		if x, ok := DecodeIndex(damaged); ok {
			t.Errorf("byte %d: %+v", n, x)
		}
		if x, ok := DecodeIndex(whole[:n]); ok {
			t.Errorf("cut to %d bytes: %+v", n, x)
		}
	}
}

func TestWholeIndexThatSaysNonsense(t *testing.T) {
	key := strings.Repeat("k", 16)
	for rule, meta := range map[string]string{
		"something behind it":       "\x00\x00\x00x",
		"an empty ETag":             "\x00\x00\x01" + key + "\x00",
		"an ETag with a line end":   "\x00\x00\x01" + key + "\x02\r\n",
		"a Vary that is no token":   "\x00\x01\x02a,\x00",
		"more variants than it has": "\x00\x00\x02" + key + "\x01a",
		"variants without end":      "\x00\x00\xff\xff\xff\xff\x7f",
		"more than there may be":    "\x00\x00\x09" + strings.Repeat(key+"\x01a", 9),
		"no second list":            "\x00\x00",
		"an ETag cut at its end":    "\x00\x00\x01" + key + "\x05abc",
		"a list longer than memory": "\x00\xff\xff\xff\xff\x07",
	} {
		if x, ok := DecodeIndex(seal(append(appendPreamble(nil, KindIndex), meta...), 0)); ok {
			t.Errorf("%s: %+v", rule, x)
		}
	}
	if x, ok := DecodeIndex(seal(append(appendPreamble(nil, KindIndex), 0, 0, 0), 0)); !ok {
		t.Errorf("an empty index: %+v", x)
	}
}

func FuzzDecodeIndex(f *testing.F) {
	f.Add(Index{
		Vary:     []string{"Accept", "Origin"},
		Variants: []Variant{{ETag: `W/"a"`}, {Key: [16]byte{1}, ETag: `"b"`}},
	}.Encode(nil))
	f.Add(Index{}.Encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < metaStart {
			return
		}
		x, ok := DecodeIndex(seal(bytes.Clone(b), 0))
		if !ok {
			return
		}
		if again, ok := DecodeIndex(x.Encode(nil)); !ok || !reflect.DeepEqual(again, x) {
			t.Fatalf("got %+v, %v; want %+v", again, ok, x)
		}
	})
}
