package coherence_test

import (
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/config"
)

func TestOneProcessLeadsAndThoseWithTheSameTokensWait(t *testing.T) {
	places(t, func(t *testing.T, r config.Redis, _ func(...string)) {
		a, b := newProcess(t, r, coherence.Guards{}), newProcess(t, r, coherence.Guards{})
		key := cachekeys.Digest{1, 2, 3}
		open := func(p *process) *coherence.Opened {
			t.Helper()
			o, err := p.Open(t.Context(), nil, coherence.Opening{
				Rules: cachekeys.Rules("r"), Carried: carried, Guards: []cachekeys.Tag{guard}, Known: []cachekeys.Tag{other}, TTL: time.Minute, Key: key,
			})
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		first := open(a)
		if first.Turn != coherence.Lead {
			t.Fatalf("the first one's turn is %v", first.Turn)
		}
		second := open(b)
		if second.Turn != coherence.Wait || second.Proof() != first.Proof() {
			t.Errorf("the second one's turn is %v", second.Turn)
		}
		if !a.RenewLease(t.Context(), first) || b.RenewLease(t.Context(), second) {
			t.Error("a lease is renewed by who holds it, and nobody else")
		}
		a.end(a.begin(character), coherence.Done, 0, character)
		third := open(b)
		if third.Turn != coherence.Fetch || third.Proof() == first.Proof() {
			t.Errorf("after a write the turn is %v: the flight under way is too old", third.Turn)
		}
		a.GiveBack(t.Context(), first)
		if fourth := open(b); fourth.Turn != coherence.Lead {
			t.Errorf("after the lease was given back the turn is %v", fourth.Turn)
		}
	})
}
