package caller_test

import (
	"testing"

	"sidecar/internal/reason"
)

// Names that differ must not be read as one: encoding/json replaces what is no Unicode text by
// U+FFFD.
func TestClaimsThatAreNoTextBypass(t *testing.T) {
	for _, pair := range [][2]string{
		{"{\"sub\":\"a\xff\"}", "{\"sub\":\"a\xfe\"}"}, {`{"sub":"a\ud800"}`, `{"sub":"a\ud801"}`},
		{`{"a":{"\udc00":1}}`, `{"a":{"\udc01":1}}`},
	} {
		a, b := who(t, withSecret(), bearer(hs256(t, pair[0]))),
			who(t, withSecret(), bearer(hs256(t, pair[1])))
		if a.Bypass != reason.TokenInvalid || b.Bypass != reason.TokenInvalid {
			t.Errorf("%q: same ID %v; bypass %q, %q", pair, a.ID == b.ID, a.Bypass, b.Bypass)
		}
	}
}
