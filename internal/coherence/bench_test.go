package coherence_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

var errNotCurrent = errors.New("it has not caught up")

// benchRounds is how often each of two things is done in turn; what is reported is their ratio.
const benchRounds = 1000

func quantile(of []time.Duration, q float64) time.Duration {
	slices.Sort(of)
	return of[int(q*float64(len(of)-1))]
}

// BenchmarkPush measures how long an invalidation by one process takes until another one's memory
// knows, as a multiple of a bare pub/sub round trip on the same Redis.
func BenchmarkPush(b *testing.B) {
	s := redisd.Start(b)
	from, to := newProcess(b, addressOf(s), coherence.Disabled{}),
		newProcess(b, addressOf(s), coherence.Disabled{})
	to.run()
	proc.Await(b, 10*time.Second, func() error {
		if !to.Current() {
			return errNotCurrent
		}
		return nil
	})
	stamp := coherence.Stamp{{Tag: character.Digest()}}
	client := s.Client()
	bare := client.Subscribe(b.Context(), "bare")
	if _, err := bare.Receive(b.Context()); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		var push, pubsub []time.Duration
		for range benchRounds {
			noted := to.Position()
			start := time.Now()
			if err := from.Invalidate(b.Context(), nil, cachekeys.Tag{}, []cachekeys.Tag{character},
				nil, 0); err != nil {
				b.Fatal(err)
			}
			for to.Stands(noted, stamp) {
				runtime.Gosched() // else it is in the way of the goroutine that it waits for
			}
			push = append(push, time.Since(start))
			start = time.Now()
			if err := client.Publish(b.Context(), "bare", "x").Err(); err != nil {
				b.Fatal(err)
			}
			if _, err := bare.ReceiveMessage(b.Context()); err != nil {
				b.Fatal(err)
			}
			pubsub = append(pubsub, time.Since(start))
		}
		b.ReportMetric(float64(quantile(push, 0.5))/float64(quantile(pubsub, 0.5)), "x-bare-median")
		b.ReportMetric(float64(quantile(push, 0.99))/float64(quantile(pubsub, 0.99)), "x-bare-p99")
		b.ReportMetric(float64(quantile(push, 0.5).Microseconds()), "µs-median")
		b.ReportMetric(float64(quantile(push, 0.99).Microseconds()), "µs-p99")
	}
}

// BenchmarkInvalidate measures the cost of invalidating a tag with a million entries in Redis, as a
// multiple of the cost with one.
func BenchmarkInvalidate(b *testing.B) {
	few, many := redisd.Start(b), redisd.Start(b)
	few.Do("DEBUG", "POPULATE", 1, "test:e", 64)
	many.Do("DEBUG", "POPULATE", 1_000_000, "test:e", 64)
	one, million := newProcess(b, addressOf(few), coherence.Disabled{}),
		newProcess(b, addressOf(many), coherence.Disabled{})
	cost := func(p *process) time.Duration {
		p.open(carried, nil)
		start := time.Now()
		if err := p.Invalidate(b.Context(), nil, cachekeys.Tag{}, carried, nil, 0); err != nil {
			b.Fatal(err)
		}
		return time.Since(start)
	}
	for b.Loop() {
		var of1, of1M []time.Duration
		for range benchRounds {
			of1, of1M = append(of1, cost(one)), append(of1M, cost(million))
		}
		b.ReportMetric(float64(quantile(of1M, 0.5))/float64(quantile(of1, 0.5)), "x-of-one-entry")
	}
}

// BenchmarkJudge compares the tokens of a stamp with those that Redis has.
func BenchmarkJudge(b *testing.B) {
	for _, n := range []int{1, 50} {
		stamp := coherence.Stamp{{Tag: cachekeys.All.Digest(), Token: coherence.Token{1}}}
		for i := range n {
			stamp = append(stamp, coherence.Mark{
				Tag: cachekeys.Named(fmt.Sprint(i)).Digest(), Token: coherence.Token{2},
			})
		}
		reading := coherence.Reading{}
		for _, m := range stamp {
			reading.Add([]cachekeys.Digest{m.Tag}, []any{string(m.Token[:])})
		}
		b.Run(fmt.Sprint(n, "tags"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if v, _ := coherence.Judge(stamp, reading); v != coherence.Alive {
					b.Fatal(v)
				}
			}
		})
	}
}
