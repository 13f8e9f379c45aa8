package httpcache_test

import (
	"testing"
	"time"

	"sidecar/internal/httpcache"
)

// BenchmarkEvaluate is the decision about a fresh response.
func BenchmarkEvaluate(b *testing.B) {
	stored := aMinute
	stored.Fields = fields("Content-Type: application/json", `Etag: "v"`,
		"Cache-Control: max-age=60", date)
	demand := read(shared, get("Accept: application/json", "User-Agent: Mozilla/5.0"))
	b.ReportAllocs()
	for b.Loop() {
		if d := httpcache.Evaluate(shared, demand, stored, now.Add(time.Second)); !d.Serve {
			b.Fatal(d.Why)
		}
	}
}
