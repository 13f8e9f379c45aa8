package propose

import (
	"strings"
	"testing"
)

func relationsOf(t *testing.T, reads, writes string) (*Relations, func(string) Path) {
	t.Helper()
	parse := func(text string) Path {
		p, ok := ParsePath(text)
		if !ok {
			t.Fatalf("%s is no path", text)
		}
		return p
	}
	var lists [2][]Path
	for i, list := range []string{reads, writes} {
		for _, text := range strings.Fields(list) {
			lists[i] = append(lists[i], parse(text))
		}
	}
	return NewRelations(lists[0], lists[1], func(Path, int) string { return "" }), parse
}

func joined(tags []Tag) string {
	out := make([]string, len(tags))
	for i, t := range tags {
		out[i] = t.String()
	}
	return strings.Join(out, " ")
}

func TestRelationsFromPaths(t *testing.T) {
	const reads = "/v1/items /v1/items/{id} /v1/items/{id}/notes /v1/items/search /v1/users/me " +
		"/v1/users/{id}/items " +
		"/v1/cart /v1/repos/{owner} /v1/repos/{owner}/{repo}/issues /v1/npcs /v1/entries/{id}"
	r, parse := relationsOf(t, reads, "/v1/npc/generate /v1/items/{id} /v1/other")
	for path, want := range map[string]string{
		"/v1/items":                       "items",
		"/v1/items/{id}":                  "items:{id}",
		"/v1/items/{id}/notes":            "items:{id}",
		"/v1/items/{x}/":                  "items:{x}",
		"/v1/users/{id}/items":            "users:{id} items",
		"/v1/repos/{owner}/{repo}/issues": "repos:{owner}:{repo}",
	} {
		if got := joined(r.Tags(parse(path))); got != want {
			t.Errorf("%s carries %q, want %q", path, got, want)
		}
	}
	for write, want := range map[string]string{
		"POST /v1/items":                  "items search",
		"PUT /v1/items":                   "items items:* search",
		"POST /v1/items/import":           "items items:* search",
		"PUT /v1/items/{x}":               "items items:{x} search",
		"POST /v1/items/{id}/notes":       "items items:{id} search",
		"DELETE /v1/users/{id}/items/{n}": "items items:* users:{id} me",
		"PUT /v1/users/me":                "users:* me",
		"POST /v1/cart/add":               "cart",
		"PATCH /v1/repos/{a}/{b}":         "repos:{a} repos:{a}:{b}",
		"PATCH /v1/repos/{a}":             "repos:{a} repos:*",
		"POST /v1/npc/generate":           "npcs",
		"POST /v1/entries":                "",
		"POST /v1/entry/{id}/publish":     "entries:*",
		"POST /v1/other":                  "",
		"POST /v1": "cart entries:* items items:* search npcs repos:* " +
			"users:* me",
	} {
		method, path, _ := strings.Cut(write, " ")
		if got := joined(r.Invalidated(method, parse(path))); got != want {
			t.Errorf("%s invalidates %q, want %q", write, got, want)
		}
	}
}

// A resource that two places have has two names.
func TestNamesOfResources(t *testing.T) {
	r, parse := relationsOf(t, "/v1/items/{id} /v2/items/{id} /items", "")
	got := map[string]bool{}
	for _, path := range []string{"/v1/items/{id}", "/v2/items/{id}", "/items"} {
		got[joined(r.Tags(parse(path)))] = true
	}
	if len(got) != 3 {
		t.Errorf("%v", got)
	}
}

func TestWhatIsCommentedOutHasNoTagThatALiveWriteNames(t *testing.T) {
	own := func(name string) Tag { return Tag{Name: "a", Holes: []string{name}} }
	f := File{Routes: []Route{
		{
			Live: true, Name: "a", Match: []string{"GET /a/{id}"},
			Cache: &Cache{Scope: "private", Tags: []Tag{own("id")}},
		},
		{
			Name: "b", Match: []string{"GET /b"},
			Cache: &Cache{Scope: "private", Tags: []Tag{{Name: "b"}}},
		},
		{
			Live: true, Name: "w", Match: []string{"PUT /a/{x}"},
			Invalidate: []Tag{own("x"), {Name: "b"}},
		},
		{Live: true, Name: "w", Match: []string{"PUT /b"}, Invalidate: []Tag{{Name: "b"}}},
	}}
	got := string(f.Bytes())
	for _, want := range []string{
		"      - \"a:{x}\"\n    #- \"b\"\n", "  #- name: w_2\n  #  match: PUT /b\n  #  " +
			"invalidate:\n  #    - \"b\"\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nhas no %s", got, want)
		}
	}
	if live, suggested := f.Count(); live != 2 || suggested != 2 {
		t.Errorf("%d live, %d suggested", live, suggested)
	}
}

func TestAFileOverTheBoundsHasTheRestAsSuggestions(t *testing.T) {
	var f File
	for i := range readBounds.patterns + 5 {
		f.Routes = append(f.Routes, Route{Live: true, Name: "r", Match: []string{"GET " +
			"/r" + itoa(i)}, Cache: &Cache{Scope: "private"}})
	}
	f.settle()
	if live, suggested := f.Count(); live != readBounds.patterns || suggested != 5 {
		t.Errorf("%d live, %d suggested", live, suggested)
	}
}

// A read is not live where a write that would change it cannot be.
func TestNoReadIsLiveBesideAWriteThatCannotBe(t *testing.T) {
	cache := func(tags ...Tag) *Cache { return &Cache{Scope: "private", Tags: tags} }
	own, all := Tag{Name: "a", Holes: []string{"id"}}, Tag{Name: "a", Family: true}
	for _, invalidate := range []Tag{{Name: "a", Holes: []string{"x"}}, all, {Name: "b"}} {
		f := File{Routes: []Route{
			{Live: true, Name: "a", Match: []string{"GET /a/{id}"}, Cache: cache(own)},
			{Live: true, Name: "b", Match: []string{"GET /b"}, Cache: cache(Tag{Name: "b"})},
			{Live: true, Name: "w", Match: []string{"PUT /a/:id"}, Invalidate: []Tag{invalidate}},
		}}
		got := string(f.Bytes())
		dead, alive := "a", "b"
		if invalidate.Name == "b" {
			dead, alive = alive, dead
		}
		if !strings.Contains(got, "  #- name: "+dead+"\n") ||
			!strings.Contains(got, "  - name: "+alive+"\n") ||
			!strings.Contains(got, `"PUT /a/:id" changes it`) {
			t.Errorf("%s: %s", invalidate, got)
		}
	}
}

func TestAFileIsNeverTooLong(t *testing.T) {
	var f File
	long := strings.Repeat("x", maxPath-50)
	for i := range 3000 {
		path := "/" + itoa(i) + long
		tags := []Tag{{Name: itoa(i) + long}}
		f.Routes = append(
			f.Routes,
			Route{
				Live:    true,
				Name:    "r",
				Match:   []string{"GET " + path},
				Cache:   &Cache{Scope: "private", Tags: tags},
				Comment: []string{strings.Repeat("why ", 100)},
			},
			Route{Live: true, Name: "w", Match: []string{"PUT " + path}, Invalidate: tags},
		)
	}
	got := f.Bytes()
	if len(got) > 1<<20 || len(got) < maxBytes/2 ||
		!strings.Contains(string(got), "more suggestions are left out") {
		t.Errorf("%d bytes", len(got))
	}
	if live, _ := f.Count(); live < 100 {
		t.Errorf("%d live", live)
	}
}
