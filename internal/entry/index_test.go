package entry

import (
	"bytes"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

func TestDecodeIndexGivesWhatWasEncoded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := func(name, pattern string) []string {
			return append([]string(nil), rapid.SliceOfN(rapid.StringMatching(pattern), 0, 5).Draw(t, name)...)
		}
		x := Index{Vary: list("vary", `[A-Za-z-]{1,9}`), Names: list("names", `(?s).{1,9}`)}
		b := x.Encode([]byte("before"))[len("before"):]
		got, ok := DecodeIndex(b)
		if !ok || !reflect.DeepEqual(got, x) {
			t.Fatalf("got %+v, %v; want %+v", got, ok, x)
		}
	})
}

func TestDamagedIndexIsNotRead(t *testing.T) {
	whole := Index{Vary: []string{"Accept"}, Names: []string{"character:1"}}.Encode(nil)
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
	for rule, meta := range map[string]string{
		"something behind it":       "\x00\x00x",
		"an empty name":             "\x00\x01\x00",
		"a Vary that is no token":   "\x01\x02a,\x00",
		"more names than it has":    "\x00\x03\x01a\x01b",
		"names without end":         "\x00\xff\xff\xff\xff\x7f",
		"no second list":            "\x00",
		"a name cut at its end":     "\x00\x01\x05abc",
		"a list longer than memory": "\xff\xff\xff\xff\x07",
	} {
		if x, ok := DecodeIndex(seal(append(appendPreamble(nil, KindIndex), meta...), 0)); ok {
			t.Errorf("%s: %+v", rule, x)
		}
	}
	if x, ok := DecodeIndex(seal(append(appendPreamble(nil, KindIndex), 0, 0), 0)); !ok {
		t.Errorf("an empty index: %+v", x)
	}
}

func FuzzDecodeIndex(f *testing.F) {
	f.Add(Index{Vary: []string{"Accept", "Origin"}, Names: []string{"character:1", "user:*"}}.Encode(nil))
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
