package policy

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Another key or another tag for a request is a cache that begins anew, and two versions of the
// sidecar beside each other that do not invalidate each other's entries.
func TestTheKeysOfRequestsDoNotChange(t *testing.T) {
	routes := table(t, "",
		`{match: "GET /items/{id}", cache: {scope: private, tags: ["item:{id}", "all:{caller}"]}}`,
		`{match: "GET /lists/{list}/{id}", cache: {scope: shared, vary: [Accept-Language],
			ignore_query: [utm_source],
			tags: ["list:{list}:{id}", "page:{query.page?}", "kind:{header.X-Kind}"]}}`,
		`{match: "PUT /items/{id}", invalidate: ["item:{id}", "list:*"]}`)
	for _, tt := range []struct {
		target, fields string
		key            string
		tags           string // with the first letters of their digests
	}{
		{"/items/42",
			"Accept: */*",
			"8R_Hc3fEhjHlaOb6hlx_VA",
			`caller:ab1dc58f485b2409512406fa28de90c8=5s9Jbs item:*=mh9jrB all:*=28MsZG
				item:42=o4twlc all:ab1dc58f485b2409512406fa28de90c8=Xcq3Ks /items/42=4AyfFG`},
		{"/items/42.json",
			"Authorization: Bearer abc.def",
			"dFKuWFdwrD317yUOqQVdog",
			`caller:c1f8be7d6ac739da5d8bb0132f6fbf68=xY3cHd item:*=mh9jrB all:*=28MsZG
				item:42.json=F4J6vg item:42=o4twlc all:c1f8be7d6ac739da5d8bb0132f6fbf68=oX3xFP
				/items/42.json=7J0IFN`},
		{"/items/a%3Ab?b=1&a=2&a=1",
			"X-Api-Key: k\nCookie: s=1; csrf=2",
			"J-D5H0txV6dvzdGCNS0t8g",
			`caller:14d431d67bd156a94f595d09f6562437=cIPF8x item:*=mh9jrB all:*=28MsZG
				item:a%3Ab=q3xIVq all:14d431d67bd156a94f595d09f6562437=EnBDTS
				/items/a:b=S0cI1T`},
		{"/items/7?",
			"Authorization: Basic abc\nX-Forwarded-Host: a.example\nX-Forwarded-Proto: https",
			"SXnAXtPKxByL9N9ZTRAaHg",
			`caller:8e4c91ae29036e31f26d65be82937d51=Cc6fnL item:*=mh9jrB all:*=28MsZG
				item:7=eM7io8 all:8e4c91ae29036e31f26d65be82937d51=Ozs79U /items/7=1Cday4`},
		{"/lists/a/5?page=3&utm_source=x",
			"Accept-Language: en, de;q=0.5\nX-Kind: new",
			"Q6ownNscxNUrK-9Rik28WA",
			`list:*=L_Du3I list:a:*=67xvOU page:*=zEtWUM kind:*=DFN0-1 list:a:5=50X9Bz
				page:3=EdHmX4 kind:new=Fl9FQB /lists/a/5=18ORAT`},
	} {
		req := request(http.MethodGet, tt.target, strings.Split(tt.fields, "\n")...)
		plan := routes.Plan(req, now)
		if plan.Kind != Read {
			t.Errorf("%s: %s %s", tt.target, plan.Bypass, plan.Unfilled)
			continue
		}
		key, secret := plan.Read.Key, testOptions().Secret()
		if key.Digest(secret) != plan.Read.Primary {
			t.Errorf("%s: the plan has another key", tt.target)
		}
		key.Block = "" // that of the policies, which change
		var tags []string
		for _, tag := range plan.Read.Carried {
			tags = append(tags, tag.String()+"="+tag.Digest().String()[:6])
		}
		if got := key.Digest(secret).String(); got != tt.key ||
			!slices.Equal(tags, strings.Fields(tt.tags)) {
			t.Errorf("%s has the key %s and the tags %s", tt.target, got, strings.Join(tags, " "))
		}
	}
}
