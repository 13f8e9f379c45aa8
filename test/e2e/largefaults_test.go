package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestABackendThatDiesInALargeBodyLeavesABrokenTransferAndNothingStored(t *testing.T) {
	t.Parallel()
	content := noise(50 * mib)
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprintf("chunked %v", chunked), func(t *testing.T) {
			b := startLarge(t, content)
			b.chunked.Store(chunked)
			b.dieAt.Store(40 * mib)
			s := startBefore(t, b.URL, policiesFile(t, largePolicies))
			if got := read(t, s.url+"/large/1"); got.err == nil {
				t.Errorf("%d bytes that look complete", got.size)
			}
			awaitThat(t, "what was stored is deleted",
				func() bool { return len(chunks(t, s.redis)) == 0 })
			b.dieAt.Store(0)
			got := read(t, s.url+"/large/1")
			got.is(t, "the next one", content)
			if got.hit() {
				t.Errorf("%q", got.cache())
			}
		})
	}
}

// stalled reads the beginning of an answer and then nothing.
func stalled(t *testing.T, url string, fields ...string) (resp *http.Response, leave func()) {
	t.Helper()
	ctx, leave := context.WithCancel(t.Context())
	resp = opened(t, ctx, url, fields...)
	if _, err := io.ReadFull(resp.Body, make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	return resp, leave
}

func TestASlowClientOfALargeBodyHoldsTheBackendBackAndFillsNoMemory(t *testing.T) {
	content := noise(50 * mib)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies))
	before := s.sidecar.RSS()
	s.sidecar.ResetPeak()
	resp, leave := stalled(t, s.url+"/large/1")
	defer leave()
	defer resp.Body.Close()
	awaitThat(t, "the beginning is in chunks", func() bool { return len(chunks(t, s.redis)) >= 4 })
	fast := read(t, s.url+"/large/1") // others are not held up by it
	fast.is(t, "beside it", content)
	if fast.hit() {
		t.Errorf("beside it: %q", fast.cache())
	}
	if n := len(chunks(t, s.redis)); n > 100 {
		t.Errorf("%d chunks while the client reads nothing", n)
	}
	if grown := s.sidecar.PeakRSS() - before; grown > heldBound {
		t.Errorf("the sidecar has grown by %d bytes", grown)
	}
	if got := rest(resp); got.err != nil || got.size != int64(len(content))-64<<10 {
		t.Errorf("the slow one gets %d bytes more, %v", got.size, got.err)
	}
	if again := read(t, s.url+"/large/1"); !again.hit() {
		t.Errorf("after it: %q", again.cache())
	} else {
		again.is(t, "after it", content)
	}
}

func TestAClientThatLeavesALargeBodyEndsTheBackendRequestAndWhatIsStored(t *testing.T) {
	t.Parallel()
	content := noise(50 * mib)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies))
	resp, leave := stalled(t, s.url+"/large/1")
	awaitThat(t, "the beginning is in chunks", func() bool { return len(chunks(t, s.redis)) >= 4 })
	leave()
	_ = resp.Body.Close()
	awaitThat(t, "the backend request has ended", func() bool { return b.canceled.Load() == 1 })
	awaitThat(t, "what was stored is deleted", func() bool { return len(chunks(t, s.redis)) == 0 })
	got := read(t, s.url+"/large/1")
	got.is(t, "the next one", content)
	if got.hit() {
		t.Errorf("%q", got.cache())
	}
}

func TestALargeBodyThatHasLostAChunkIsNeverServedAsComplete(t *testing.T) {
	t.Parallel()
	content := noise(50 * mib)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies))
	url, redis := s.url+"/large/1", s.redis.Client()
	store(t, url, content)
	lose := func(nth string) {
		for _, key := range chunks(t, s.redis) {
			if strings.HasSuffix(key, ":"+nth) {
				redis.Del(t.Context(), key)
			}
		}
	}
	for _, nth := range []string{"0", "7", "199"} {
		lose(nth)
		got := read(t, url)
		got.is(t, "without chunk "+nth, content)
		if got.hit() || !containsAll(got.cache(), "detail=body-lost") {
			t.Errorf("without chunk %s: %q", nth, got.cache())
		}
		if again := read(t, url); !again.hit() {
			t.Errorf("stored anew: %q", again.cache())
		}
	}
	for name, damage := range map[string]func(key string){
		"lost":    func(key string) { redis.Del(t.Context(), key) },
		"damaged": func(key string) { redis.SetRange(t.Context(), key, 1000, "damage") },
		"swapped": func(key string) {
			redis.Set(t.Context(), key,
				redis.Get(t.Context(), strings.TrimSuffix(key, "199")+"198").Val(), time.Hour)
		},
	} {
		resp := opened(t, t.Context(), url)
		if _, err := io.ReadFull(resp.Body, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		for _, key := range chunks(t, s.redis) {
			if strings.HasSuffix(key, ":199") {
				damage(key)
			}
		}
		if got := rest(resp); got.err == nil {
			t.Errorf("the last chunk was %s meanwhile: %d bytes that look complete", name, got.size)
		}
		_ = resp.Body.Close()
		if name != "lost" { // to be found only when it is reached
			for _, key := range chunks(t, s.redis) {
				redis.Del(t.Context(), key)
			}
		}
		store(t, url, content)
	}
}

func TestARedisThatFreezesInALargeBodyCostsItsReaderNextToNothing(t *testing.T) {
	t.Parallel()
	content := noise(20 * mib)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies),
		"REDIS_TIMEOUT=500ms", "BREAKER_TIMEOUT=300ms")
	resp, leave := stalled(t, s.url+"/large/1")
	defer leave()
	awaitThat(t, "the beginning is in chunks", func() bool { return len(chunks(t, s.redis)) >= 4 })
	s.redis.Freeze()
	began := time.Now()
	got := rest(resp)
	took := time.Since(began)
	_ = resp.Body.Close()
	s.redis.Thaw()
	// 500 ms, and a busy machine
	if got.err != nil || got.size != int64(len(content))-64<<10 || took > 10*time.Second {
		t.Errorf("%d bytes more in %v, %v", got.size, took, got.err)
	}
	awaitThat(t, "it is stored once Redis is back",
		func() bool { return read(t, s.url+"/large/1").hit() })
	read(t, s.url+"/large/1").is(t, "a hit", content)
}

func TestWhatTurnsOutToBeLargerThanMaxBodyStreamsThrough(t *testing.T) {
	t.Parallel()
	content := noise(65 * mib)
	b := startLarge(t, content)
	b.chunked.Store(true)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies))
	for range 2 {
		got := read(t, s.url+"/large/1")
		got.is(t, "too large", content)
		if got.hit() {
			t.Errorf("%q", got.cache())
		}
	}
	awaitThat(t, "what was stored is deleted", func() bool { return len(chunks(t, s.redis)) == 0 })
}

func TestAWriteMakesALargeBodyOldAndItsChunksGoWithTheNextStore(t *testing.T) {
	t.Parallel()
	content := noise(2 * mib)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies))
	url := s.url + "/large/1"
	store(t, url, content)
	old := chunks(t, s.redis)
	do(t, http.MethodPut, url, "x")
	if got := read(t, url); got.hit() {
		t.Errorf("after a write: %q", got.cache())
	}
	if got := read(t, url); !got.hit() {
		t.Errorf("stored anew: %q", got.cache())
	}
	awaitThat(t, "what is replaced goes soon", func() bool {
		for _, key := range old {
			if ttl := s.redis.Client().PTTL(t.Context(), key).Val(); ttl > 5*time.Minute {
				return false
			}
		}
		return true
	})
	if n := len(chunks(t, s.redis)); n != 2*len(old) {
		t.Errorf("%d chunks: who reads the old one is cut off", n)
	}
}

func TestManyWhoMissALargeBodyAtOnceAllGetItAndItIsStoredOnce(t *testing.T) {
	t.Parallel()
	content := noise(10 * mib)
	b := startLarge(t, content)
	s := startBefore(t, b.URL, policiesFile(t, largePolicies))
	var clients sync.WaitGroup
	for range 12 {
		clients.Go(func() { read(t, s.url+"/large/1").is(t, "one of many", content) })
	}
	clients.Wait()
	store(t, s.url+"/large/1", content)
	awaitThat(t, "there is one body", func() bool {
		living := 0 // one that came late may have replaced the first one, whose chunks go soon
		for _, key := range chunks(t, s.redis) {
			if s.redis.Client().PTTL(t.Context(), key).Val() > 20*time.Minute {
				living++
			}
		}
		return living == 40
	})
}

// Another sidecar waits for this one's answer, until that turns out to come at the pace of one
// client.
func TestASlowClientOfALargeBodyHoldsNobodyUpAtAnotherSidecar(t *testing.T) {
	t.Parallel()
	content := noise(20 * mib)
	b := startLarge(t, content)
	sidecars := three(t, b.URL, largePolicies, "COLLAPSE_WAIT=10m")
	_, leave := stalled(t, sidecars[0].url+"/large/1", sameHost)
	defer leave()
	for _, s := range sidecars[1:] {
		began := time.Now()
		read(t, s.url+"/large/1", sameHost).is(t, "elsewhere", content)
		// Nobody waits for a body in chunks; the bound is for a busy machine.
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("it took %v", took)
		}
	}
}
