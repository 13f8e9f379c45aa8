package jobs

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func testKey(fill byte) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, sealingKeyBytes))
}

func mustSealer(t *testing.T, value string) *Sealer {
	t.Helper()
	s, err := ParseSealer(value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var testBinding = binding{purpose: "request", prefix: "sidecar", id: "one", owner: "alice"}

func TestSealedValueOpensOnlyWhereItBelongs(t *testing.T) {
	s := mustSealer(t, testKey(1))
	sealed := s.seal(testBinding, []byte("marker"))
	if bytes.Contains(sealed, []byte("marker")) {
		t.Fatal("the value can be read")
	}
	if got, err := s.open(testBinding, sealed); err != nil || string(got) != "marker" {
		t.Fatalf("it opens to %q, %v", got, err)
	}
	for name, b := range map[string]binding{
		"another job":     {purpose: "request", prefix: "sidecar", id: "two", owner: "alice"},
		"another caller":  {purpose: "request", prefix: "sidecar", id: "one", owner: "bob"},
		"nobody":          {purpose: "request", prefix: "sidecar", id: "one"},
		"another prefix":  {purpose: "request", prefix: "other", id: "one", owner: "alice"},
		"another purpose": {purpose: "result", prefix: "sidecar", id: "one", owner: "alice"},
		"shifted parts":   {purpose: "request", prefix: "sidecaro", id: "ne", owner: "alice"},
	} {
		if _, err := s.open(b, sealed); !errors.Is(err, errForged) {
			t.Errorf("for %s: %v, want errForged", name, err)
		}
	}
	for i := range sealed {
		damaged := bytes.Clone(sealed)
		damaged[i] ^= 1
		if _, err := s.open(testBinding, damaged); err == nil {
			t.Errorf("it opens with byte %d changed", i)
		}
		if _, err := s.open(testBinding, sealed[:i]); err == nil {
			t.Errorf("it opens when cut off at %d", i)
		}
	}
}

func TestTheFirstKeySealsAndAllOpen(t *testing.T) {
	older, both, newer := mustSealer(t, testKey(1)), mustSealer(t, testKey(2)+", "+testKey(1)),
		mustSealer(t, testKey(2))
	byOlder, byBoth := older.seal(testBinding, []byte("a")), both.seal(testBinding, []byte("b"))
	for name, try := range map[string]struct {
		s     *Sealer
		value []byte
		want  error
	}{
		"the older key's by both":      {both, byOlder, nil},
		"the newer key's by both":      {both, byBoth, nil},
		"the newer key's by the newer": {newer, byBoth, nil},
		"the newer key's by the older": {older, byBoth, errUnknownKey},
		"the older key's by the newer": {newer, byOlder, errUnknownKey},
		"a sealed one without a key":   {nil, byOlder, errUnknownKey},
		"an unsealed one with a key": {older,
			(*Sealer)(nil).seal(testBinding, []byte("a")), errUnsealed},
		"an unsealed one without": {nil, (*Sealer)(nil).seal(testBinding, []byte("a")), nil},
		"nothing":                 {older, nil, errForged},
	} {
		if _, err := try.s.open(testBinding, try.value); !errors.Is(err, try.want) {
			t.Errorf("%s: %v, want %v", name, err, try.want)
		}
	}
}

func TestKeysThatAreNone(t *testing.T) {
	if s, err := ParseSealer("  "); s != nil || err != nil {
		t.Errorf("an empty value gives %v, %v", s, err)
	}
	url := base64.RawURLEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, sealingKeyBytes))
	if _, err := ParseSealer(url); err != nil {
		t.Errorf("URL-safe base64 without padding: %v", err)
	}
	for value, want := range map[string]string{
		"c2hvcnQ=": "key 1 of JOBS_ENCRYPTION_KEY: 5 bytes, want 32: " +
			makeKey,
		testKey(1) + ",!!secret!!": "key 2 of JOBS_ENCRYPTION_KEY: not base64: " + makeKey,
		testKey(1) + ",": "key 2 of JOBS_ENCRYPTION_KEY: 0 bytes, want 32: " +
			makeKey,
		strings.Repeat("A", 44) + "AA": "key 1 of JOBS_ENCRYPTION_KEY: 34 bytes, want 32: " +
			makeKey,
	} {
		if _, err := ParseSealer(value); err == nil || err.Error() != want {
			t.Errorf("%q gives %v, want %q", value, err, want)
		}
	}
}
