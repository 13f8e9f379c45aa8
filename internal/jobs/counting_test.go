package jobs

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestAttemptsAndWaitsAreTold(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var results []string
	var waits []time.Duration
	w := newWorld(t, shared, answer(503, 201), func(o *Options) {
		o.Begun = func(jobType string, waited time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, waited)
		}
		o.Attempted = func(jobType, result string, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			results = append(results, jobType+" "+result)
			if took <= 0 || took > time.Minute {
				t.Errorf("an attempt took %v", took)
			}
		}
	})
	accepted := time.Now()
	id := w.accept(w.submission("a sword", ""))
	w.work()
	w.await(id, Succeeded)
	most := time.Since(accepted)
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"craft 5xx", "craft 2xx"}; !slices.Equal(results, want) {
		t.Errorf("%q, want %q", results, want)
	}
	if len(waits) != 1 || waits[0] < 0 || waits[0] > most+time.Millisecond {
		t.Errorf("it waited %v, of %v", waits, most)
	}
}

func TestAResultIsAWordOfAShortList(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]replayed{
		"unsent":   {unsent: true},
		"cut-off":  {cutOff: true},
		"canceled": {canceled: true},
		"failed":   {attempt: attempt{fault: "it broke off"}},
		"4xx":      {attempt: attempt{response: &Response{Status: http.StatusTeapot}}},
	} {
		if got := a.result(); got != want {
			t.Errorf("%+v is %q, want %q", a, got, want)
		}
	}
}
