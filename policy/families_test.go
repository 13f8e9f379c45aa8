package policy

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"sidecar/cachekeys"
)

// The families of a tag are those that a look at each template finds, in the same order.
func TestTheFamiliesOfATagAreFoundByItsBeginning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l familyList
		part := rapid.SampledFrom([]string{"a", "b", ":", "a:", "b:", "{x}", "{y}:"})
		for range rapid.IntRange(0, 20).Draw(t, "templates") {
			source := ""
			for range rapid.IntRange(1, 4).Draw(t, "parts") {
				source += part.Draw(t, "part")
			}
			l.add(source + "*")
		}
		for _, text := range rapid.SliceOfN(rapid.StringMatching(`[ab:]{1,6}`), 1,
			20).Draw(t, "tags") {
			var want []cachekeys.Tag
			for _, f := range l.list {
				if family, ok := f.FamilyOf(text); ok {
					want = append(want, family)
				}
			}
			if got := l.appendOf(nil, text); !slices.Equal(got, want) {
				t.Fatalf("%q: %v; want %v", text, got, want)
			}
		}
	})
}
