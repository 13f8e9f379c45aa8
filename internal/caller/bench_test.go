package caller_test

import (
	"testing"

	"github.com/go-jose/go-jose/v4"

	"sidecar/internal/caller"
)

// BenchmarkIdentify is the cost of knowing a caller whose token has come before.
func BenchmarkIdentify(b *testing.B) {
	claims := `{"sub":"0123456789abcdef","iss":"https://login.example.com/","aud":["web","app"],` +
		`"exp":1000000060,"iat":1000000000,"jti":"f3b2","org":{"id":42},"scope":"read write"}`
	rsaConfig := withJWT(caller.JWT{
		PublicKeyFile: publicPEM(b, &rsaKey().PublicKey), Algorithms: []string{"RS256"},
	})
	for _, bench := range []struct {
		name   string
		config caller.Config
		line   string
	}{
		{"opaque", withSecret(), "X-Api-Key: 0123456789abcdef"},
		{"HS256", withSecret(), bearer(hs256(b, claims))},
		{"RS256", rsaConfig, bearer(sign(b, jose.RS256, rsaKey(), claims))},
	} {
		i, f := identifier(b, bench.config), fields(bench.line)
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if i.Identify(f, now).Bypass != "" {
					b.Fatal("it is not known")
				}
			}
		})
	}
}
