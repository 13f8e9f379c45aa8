package policy

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkPlan is the plan of a GET with the fields that a browser and an ingress send.
func BenchmarkPlan(b *testing.B) {
	t := table(b, "",
		`{match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, tags: ["item:{id}"]}}`)
	req := request("GET", "/items/1?page=2", "Accept: application/json",
		"Accept-Encoding: gzip, br", "Accept-Language: en",
		"User-Agent: Mozilla/5.0", "Referer: https://api.example/", "Sec-Fetch-Mode: cors",
		"Sec-Fetch-Site: same-origin",
		"X-Request-Id: 1", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Host: api.example",
		"X-Forwarded-Proto: https", "X-Real-Ip: 203.0.113.7")
	b.ReportAllocs()
	for b.Loop() {
		if p := t.Plan(req, now); p.Kind != Read {
			b.Fatal(p.Bypass)
		}
	}
}

// manyRoutes is a file with n routes, a third of which are reads.
func manyRoutes(n int) []byte {
	var b strings.Builder
	b.WriteString("version: 1\nroutes:\n")
	for i := range n {
		if i%3 == 0 {
			fmt.Fprintf(&b,
				"  - {match: 'GET /items/%d/{id}', cache: {scope: shared, tags: ['item%d:{id}']}}\n", i, i)
		} else {
			fmt.Fprintf(&b, "  - {match: 'PUT /items/%d/{id}', invalidate: ['item%d:{id}']}\n",
				i, i-i%3)
		}
	}
	return []byte(b.String())
}

// few and many routes; the last one is a read.
var numbersOfRoutes = []int{10, maxPatterns}

// BenchmarkPlanAmongRoutes is the plan of a GET for the last of few and of many routes.
func BenchmarkPlanAmongRoutes(b *testing.B) {
	for _, n := range numbersOfRoutes {
		t, _, err := Load(manyRoutes(n), testOptions())
		if err != nil {
			b.Fatal(err)
		}
		req := request("GET", fmt.Sprintf("/items/%d/42", n-1))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if p := t.Plan(req, now); p.Kind != Read {
					b.Fatal(p.Bypass)
				}
			}
		})
	}
}

// BenchmarkLoad reads files with few and with many routes.
func BenchmarkLoad(b *testing.B) {
	for _, n := range numbersOfRoutes {
		content := manyRoutes(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := Load(content, testOptions()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
