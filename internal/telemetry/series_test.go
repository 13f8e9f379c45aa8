package telemetry

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

func TestASeriesIsMadeOnceForEachValue(t *testing.T) {
	var made atomic.Int64
	s := series[*int]{make: func(string) *int { made.Add(1); return new(int) }}
	const values = 20
	found := make([][values]*int, 8)
	var wg sync.WaitGroup
	for i := range found {
		wg.Go(func() {
			for v := range values {
				found[i][v] = s.of(strconv.Itoa(v))
			}
		})
	}
	wg.Wait()
	for _, f := range found {
		if f != found[0] {
			t.Error("two goroutines count in different places")
		}
	}
	if made.Load() != values {
		t.Errorf("made %d for %d values", made.Load(), values)
	}
}
