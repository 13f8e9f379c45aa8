package proxy

import (
	"sidecar/internal/reason"
	"sidecar/internal/store"
)

// HandOver does work in the goroutine of a miss whose handler has returned.
func HandOver(fill *store.Fill, work func()) {
	m := &miss{fill: fill, answered: make(chan struct{})}
	close(m.answered)
	m.handOver(work)
}

// GiveUp gives up the answer of a miss.
func GiveUp(fill *store.Fill, why reason.Reason) { (&miss{fill: fill}).giveUp(why) }

// InHand is how many bytes of answers are in hand.
func InHand(p *Proxy) int64 { return p.inHand.used.Load() }

// Sampler samples a share of hits.
func Sampler(share float64, seed uint64) func() bool {
	t := &tally{seed: seed}
	return func() bool { return t.sample(share) }
}

// Proves is the text of the proof by so many comparisons.
var Proves = proves

// LongPieces is how many long pieces of bodies are in hand, and MaxLongPieces how many may be.
func LongPieces() int { return int(longUsed.Load()) }

const MaxLongPieces = maxLong
