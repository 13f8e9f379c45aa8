package pattern

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A linear is a matcher without an index: each look goes through all entries in order.
type linear []*entry[int]

func (l *linear) add(p *Pattern, target int) {
	at := slices.IndexFunc(*l, func(e *entry[int]) bool { return e.covers(p) })
	if at < 0 {
		at = len(*l)
	}
	*l = slices.Insert(*l, at, &entry[int]{Pattern: p, target: target})
}

func (l linear) conflict(p *Pattern) *Pattern {
	for _, e := range l {
		if e.conflicts(p) {
			return e.Pattern
		}
	}
	return nil
}

// matching are all entries that match, or the first one.
func (l linear) matching(method string, s split, how how, every bool) (found []Match[int]) {
	for _, e := range l {
		if e.hasMethod(method) && e.matches(s, how) && (every || found == nil) {
			found = append(found, Match[int]{e.target, e.values(s.parts)})
		}
	}
	return found
}

// drawSource draws a pattern in letters of both cases.
func drawSource(t *rapid.T) string {
	source := rapid.SampledFrom([]string{"", "GET ", "POST ", "HEAD "}).Draw(t, "method")
	for i := range rapid.IntRange(0, 3).Draw(t, "segments") {
		wildcard := fmt.Sprintf("{x%d}", i)
		source += "/" + rapid.SampledFrom([]string{
			"a", "A", "%61", "b", "a%2Fb", "%25", "%C3%9F", "%FF", "%C4%B0", "%E2%84%AA", "k",
			"b;v=1", "$metadata",
			wildcard, wildcard,
		}).Draw(t, "segment")
	}
	return source + rapid.SampledFrom([]string{"/c", "/", "/{$}", "/{rest...}"}).Draw(t, "end")
}

func TestTheIndexFindsWhatALookAtEachPatternFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var m Matcher[int]
		var l linear
		for i, source := range rapid.SliceOfN(rapid.Custom(drawSource), 1, 30).Draw(t, "patterns") {
			p := mustPattern(t, source)
			other, _ := m.Conflict(p)
			if want := l.conflict(p); other != want {
				t.Fatalf("%s conflicts with %v; want %v", source, other, want)
			}
			if other == nil {
				m.Add(p, i)
				l.add(p, i)
			}
		}
		for i, e := range m.entries {
			if e.Pattern != l[i].Pattern || e.rank != i {
				t.Fatalf("entry %d of rank %d is %s; want %s", i, e.rank, e, l[i])
			}
		}
		for range 10 {
			path := ""
			for range rapid.IntRange(0, 4).Draw(t, "depth") {
				path += "/" + rapid.SampledFrom([]string{
					"a", "A", "%61", "%41", "b", "B", "c", "a%2Fb", "A%2fB", "%25", "%", "%zz",
					"%C3%9F", "ß", "SS", "%FF", "%FE", "\xff",
					"%C4%B0", "i%CC%87", "%E2%84%AA", "k", "K", "b;v=1", "b;V=1", "$metadata",
					"%24METADATA", "{x0}", "",
				}).Draw(t, "part")
			}
			method := rapid.SampledFrom([]string{"GET", "HEAD", "POST", "PUT", AnyMethod}).Draw(t,
				"request")
			s := m.split(path, new(room))
			for _, how := range []how{
				exactly, caseless, {empty: true}, {folded: true, empty: true},
			} {
				var got, all []Match[int]
				if found, ok := m.first(method, s, how); ok {
					got = append(got, found)
				}
				for _, e := range m.under(s, how) {
					all = append(all, Match[int]{e.target, e.values(s.parts)})
				}
				if want := l.matching(method, s, how, false); !reflect.DeepEqual(got, want) {
					t.Fatalf("%s %s, %+v: %v; want %v", method, path, how, got, want)
				}
				if want := l.matching(AnyMethod, s, how, true); !reflect.DeepEqual(all, want) {
					t.Fatalf("all of %s, %+v: %v; want %v", path, how, all, want)
				}
			}
		}
	})
}

// BenchmarkFind is of the last of few and of many patterns.
func BenchmarkFind(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		var m Matcher[int]
		for i := range n {
			m.Add(mustPattern(b, fmt.Sprintf("GET /api/%d/{id}", i)), i)
		}
		path := fmt.Sprintf("/api/%d/42", n-1)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := m.Find("GET", path); !ok {
					b.Fatal("not found")
				}
			}
		})
	}
}
