package httpcache

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestAFinderFindsAValueInWhateverPiecesItComes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[ab]{0,60}`)
		values := rapid.SliceOfN(rapid.StringMatching(`[ab]{6,12}`), 1, 3).Draw(t, "values")
		f, content := NewFinder(values), ""
		for _, piece := range rapid.SliceOfN(text, 0, 6).Draw(t, "pieces") {
			content += piece
			f.Write([]byte(piece))
		}
		want := false
		for _, v := range values {
			want = want || len(v) >= leastValue && strings.Contains(content, v)
		}
		if f.Found() != want {
			t.Errorf("found %v, want %v", f.Found(), want)
		}
	})
}

func TestManyValuesThatBeginAlikeAreFoundByTheirBeginning(t *testing.T) {
	var values []string
	for c := 'a'; c <= 'z'; c++ {
		values = append(values, "12345678"+string(c))
	}
	f := NewFinder(values)
	for _, rest := range f.rest {
		if len(rest) > mostAlike {
			t.Errorf("%d comparisons for a byte", len(rest))
		}
	}
	if f.Write([]byte("..12345678z")); !f.Found() {
		t.Error("not found")
	}
}
