package proxy

import (
	"testing"

	"sidecar/cachekeys"
)

func TestRefreshesAreOneForAKeyBoundedAndNoneAfterTheEnd(t *testing.T) {
	var r refreshes
	begin := func(n int) (over func(), ok bool) {
		_, over, ok = r.begin(cachekeys.Digest{byte(n)}, t.Context())
		return over, ok
	}
	var overs []func()
	for n := range maxRefreshes {
		over, ok := begin(n)
		if !ok {
			t.Fatalf("%d are too many", n+1)
		}
		overs = append(overs, over)
	}
	if over, ok := begin(maxRefreshes); ok {
		over()
		t.Error("there is no bound")
	}
	overs[0]()
	if over, ok := begin(1); ok {
		over()
		t.Error("two of one key")
	}
	for _, over := range overs[1:] {
		over()
	}
	r.close()
	if over, ok := begin(0); ok {
		over()
		t.Error("one begins after the end")
	}
}
