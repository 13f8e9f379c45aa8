package cachekeys_test

import (
	"testing"

	"sidecar/cachekeys"
)

// BenchmarkDigest is the digest of the key of a private entry.
func BenchmarkDigest(b *testing.B) {
	k := cachekeys.Key{
		Block: "3f2a9c11", Scope: "private", Partition: "QYFxvP9WaTMJjJWoxeY_hA",
		Authority: "api.example",
		Path:      "/api/v1/characters/42", HasQuery: true, Query: "expand=items",
		Told: []cachekeys.Vary{{Name: "X-Forwarded-Proto", Values: []string{"https"}}},
		Vary: []cachekeys.Vary{{Name: "Accept-Language", Values: []string{"en"}}},
	}
	b.ReportAllocs()
	for b.Loop() {
		_ = k.Digest(secret)
	}
}
