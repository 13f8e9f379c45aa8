package policy

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkPlan is the plan of a GET with the fields that a browser and an ingress send.
func BenchmarkPlan(b *testing.B) {
	t := table(b, "", `{match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, tags: ["item:{id}"]}}`)
	req := request("GET", "/items/1?page=2", "Accept: application/json", "Accept-Encoding: gzip, br", "Accept-Language: en",
		"User-Agent: Mozilla/5.0", "Referer: https://api.example/", "Sec-Fetch-Mode: cors", "Sec-Fetch-Site: same-origin",
		"X-Request-Id: 1", "X-Forwarded-For: 203.0.113.7", "X-Forwarded-Host: api.example", "X-Forwarded-Proto: https", "X-Real-Ip: 203.0.113.7")
	b.ReportAllocs()
	for b.Loop() {
		if p := t.Plan(req, now); p.Kind != Read {
			b.Fatal(p.Bypass)
		}
	}
}

// BenchmarkPlanAmongRoutes is the plan of a GET for the last of few and of many routes.
func BenchmarkPlanAmongRoutes(b *testing.B) {
	for _, n := range []int{10, maxPatterns} {
		var content strings.Builder
		content.WriteString("version: 1\nroutes:\n")
		for i := range n {
			fmt.Fprintf(&content, "  - {match: 'GET /items/%d/{id}', cache: {scope: shared, tags: ['item%d:{id}']}}\n", i, i)
		}
		t, _, err := Load([]byte(content.String()), testOptions())
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
