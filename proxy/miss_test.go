package proxy_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/entry"
	"sidecar/internal/reason"
	"sidecar/internal/store"
	"sidecar/proxy"
)

var missed = store.Query{Primary: cachekeys.Digest{1}}

// joined is the fill of one more request that misses the same.
func (s *sidecar) joined() *store.Fill {
	s.t.Helper()
	fill, err := s.store.Begin(s.t.Context(), nil, store.Opening{Query: missed, Shared: true})
	check(s.t, err)
	if !fill.Join(s.t.Context()) {
		s.t.Fatal("the answer may not be shared")
	}
	return fill
}

// leased reports whether some process has the lease to fetch.
func (s *sidecar) leased() bool {
	s.t.Helper()
	return s.redis.Do("EXISTS", cachekeys.NewNames(s.prefix).Lease(missed.Primary)) == int64(1)
}

func TestABodyWhoseGoroutinePanicsStrandsNobody(t *testing.T) {
	t.Parallel()
	s := start(t, backendThat(t, counts()), items, waits(time.Hour)) // nobody gives up by itself
	fetching, waiting := s.joined(), s.joined()
	proxy.HandOver(fetching, func() { panic("the work") })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, e := waiting.Wait(ctx, nil); e != store.ToFetch || !waiting.Leads() {
		t.Errorf("the one that waited has event %d, and leads: %t", e, waiting.Leads())
	}
	waiting.End()
	await(t, "the lease is given back", func() bool { return !s.leased() })
}

func TestAnAnswerThatWasGivenUpIsNeverKept(t *testing.T) {
	t.Parallel()
	s := start(t, backendThat(t, counts()), items)
	for _, why := range []reason.Reason{reason.Incomplete, reason.TooLarge} {
		fill := s.joined()
		proxy.GiveUp(fill, why)
		e, err := entry.New(http.StatusOK, http.Header{})
		check(t, err)
		e.Body, e.ResponseTime, e.Lifetime = []byte("late"), entry.At(time.Now()), time.Hour
		fill.Keep(e, 0, func() ([]cachekeys.Tag, reason.Reason) { return nil, "" },
			func(reason.Reason) { t.Errorf("%s: kept afterwards", why) })
		// waits for a store
		if found := s.store.Lookup(t.Context(), nil, missed); found.Entry != nil {
			t.Errorf("%s: %q is stored", why, found.Entry.Body)
		}
		fill.End()
	}
}
