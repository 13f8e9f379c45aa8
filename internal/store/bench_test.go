package store_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/config"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/internal/store"
	"sidecar/test/redisd"
)

// BenchmarkLookup is a hit from Redis: of an entry that its response gave so many surrogate keys.
func BenchmarkLookup(b *testing.B) {
	server := redisd.Start(b)
	host, port, err := net.SplitHostPort(server.Addr())
	if err != nil {
		b.Fatal(err)
	}
	conn, err := redisconn.New(redisconn.Options{
		Name: "cache", Redis: config.Redis{Host: host, Port: port}, Names: names,
		Breaker: config.Breaker{MaxRequests: 1, MinRequests: 3, FailureRatio: 1},
	})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	s := store.New(store.Options{
		Conn: conn, Keyspace: coherence.New(coherence.Options{Conn: conn, Names: names}),
		Names:  names,
		Secret: func() []byte { return secret }, Memory: 64 << 20,
	})
	defer s.Close(b.Context())
	for _, n := range []int{1, 50} {
		q := query(fmt.Sprint("/characters/", n), nil)
		surrogates := make([]cachekeys.Tag, n)
		for i := range surrogates {
			surrogates[i] = cachekeys.Surrogate("game.example", fmt.Sprint("character-", i))
		}
		fill, err := s.Begin(b.Context(), nil,
			store.Opening{Query: q, Names: surrogates, Guards: guards})
		if err != nil {
			b.Fatal(err)
		}
		kept := make(chan reason.Reason, 1)
		fill.Keep(answer(`{"notes":"`+strings.Repeat("x", 2000)+`"}`), 0, named(surrogates...),
			func(why reason.Reason) { kept <- why })
		if why := <-kept; why != "" {
			b.Fatal(why)
		}
		lookup := func(b *testing.B) {
			found := s.Lookup(b.Context(), conn.Budget(10*time.Second), q)
			if found.Entry == nil {
				b.Fatalf("%+v", found)
			}
		}
		b.Run(fmt.Sprint("tags=", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				lookup(b)
			}
		})
		b.Run(fmt.Sprintf("tags=%d/together", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					lookup(b)
				}
			})
		})
	}
}
