package nearest_test

import (
	"testing"

	"sidecar/internal/nearest"
)

func TestTheNearestNameIsFoundAndAFarOneIsNot(t *testing.T) {
	names := []string{"scope", "ttl", "tags", "max_body", "ignore_query"}
	for name, want := range map[string]string{
		"tag": "tags", "scop": "scope", "maxbody": "max_body", "ignore_querry": "ignore_query",
		"ttl": "ttl", "frobnicate": "", "": "",
	} {
		if got := nearest.To(name, names); got != want {
			t.Errorf("To(%q) = %q, want %q", name, got, want)
		}
	}
}
