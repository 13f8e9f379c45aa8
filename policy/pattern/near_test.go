package pattern

import "testing"

func TestAPathThatNearlyMatches(t *testing.T) {
	for _, c := range []struct{ pattern, path, why string }{
		{"GET /api/items/{id}", "/api/items/5", ""},
		{"GET /api/items/{id}", "/api/Items/5", "it is written in other letters"},
		{"GET /api/items/{id}", "/api/items/5/", "it has no slash at the end"},
		{"GET /api/items/{$}", "/api/items", "it has a slash at the end"},
		{"GET /api/items/{id}", "/api/item/5", `its segment 2 is "items", not "item"`},
		{"GET /api/items/{id}", "/api/users/5", ""},
		{"GET /api/items/{id}", "/api/items/", "its segment {id} is empty"},
		{"GET /api/items/{id}", "/api/items", "it has one segment more"},
		{"GET /api/items", "/api/items/5", "it has one segment less"},
		{"GET /api/items", "/api/items/5/6", ""},
		{"GET /a/{rest...}", "/a/b/c", ""},
		{"GET /a/{rest...}", "/a", "it has a slash at the end"},
		{"GET /{$}", "/a", ""},
		{"GET /{$}", "/", ""},
	} {
		p := mustPattern(t, c.pattern)
		why, ok := p.Near(c.path)
		if why != c.why || ok != (c.why != "") {
			t.Errorf("%s and %s: %q, %t, want %q", c.pattern, c.path, why, ok, c.why)
		}
		if ok && p.MatchesPath(c.path) {
			t.Errorf("%s matches %s, and nearly so", c.pattern, c.path)
		}
	}
}
