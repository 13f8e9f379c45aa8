package observe

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTemplatesOfPaths(t *testing.T) {
	for _, c := range []struct{ paths, want string }{
		{"/items/1 /items/2 /items", "/items /items/{id}"},
		{"/items/1", "/items/{id}"},
		{"/v1/items/3f2504e0-4f89-11d3-9a0c-0305e82c3301 /v2/items", "/v1/items/{id} /v2/items"},
		{"/items/deadbeef01 /items/a%20b /items/a@b /items/x.y.z /items/0", "/items/{id}"},
		{"/users/5/posts/7 /users/6/posts", "/users/{id}/posts /users/{user_id}/posts/{post_id}"},
		{"/users/5 /users/me /users/search", "/users/me /users/search /users/{id}"},
		{"/users/5 /users/a /users/b /users/c /users/d /users/e", "/users/{id}"}, // as beside them
		{"/users/5 /users/ann /users/bob/x", "/users/{id} /users/{id}/x"},
		{"/users/ann", "/users/{id}"},
		{"/users/me/notes /users/ann/notes /users/search", "/users/me/notes /users/search " +
			"/users/{id}/notes"},
		{"/rules/spells/1 /rules/spells", "/rules/spells /rules/spells/{id}"},
		{"/rules/spells", "/rules/{id}"},
		{"/api/orders /api/v2/orders/ann", "/api/orders /api/v2/orders/{id}"},
		{"/users/5 /users/profile/photo", "/users/profile/photo /users/{id}"},
		{"/maps /maps/a /maps/b /maps/c /maps/d /maps/e", "/maps /maps/{id}"}, // below a list
		{"/maps /maps/a/x /maps/b/x /maps/c/x /maps/d/x /maps/e/x", "/maps /maps/{id}/x"},
		{"/map /map/a /map/b /map/c /map/d /map/e/x", "/map /map/a /map/b /map/c /map/d /map/e/x"},
		{"/map/a /map/b /map/c /map/d /map/e", "/map/a /map/b /map/c /map/d /map/e"},
		{"/a /b /c", "/a /b /c"},
		{"/ /a", "/a /{$}"},
		{"/a/ /a", "/a /a/{$}"},
		{"/feed.json /robots.txt", "/feed.json /robots.txt"},
		{"/reset/" + strings.Repeat("x", 31), "/reset/{id}"},
		{"/{x}/5 /a{b", "/{id} /{id}/{id_2}"},
		{"/1/2/3", "/{id}/{id_2}/{id_3}"},
	} {
		if got := templatesOf(strings.Fields(c.paths)...); got != c.want {
			t.Errorf("%s: %s, want %s", c.paths, got, c.want)
		}
	}
}

// templatesOf are the templates of paths that were asked by GET, sorted.
func templatesOf(paths ...string) string {
	of := map[string]asked{}
	for _, p := range paths {
		of[p] = by(0)
	}
	tree := treeOf(of)
	var out []string
	for _, p := range paths {
		found, _, ok := tree.of(p)
		if !ok {
			out = append(out, "none")
		}
		if text := found.path.String(); !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// by is a path that was asked for by GET.
func by(persons ...int32) asked {
	a := asked{methods: map[string]bool{"GET": true}}
	for _, who := range persons {
		a.by.add(who)
	}
	return a
}

// A word that one person alone asks for, where others ask for others, is their name.
func TestWordsOfOnePersonEachAreValues(t *testing.T) {
	for _, c := range []struct {
		of   map[string]asked
		want string
	}{
		{map[string]asked{"/profile/ann/cart": by(0), "/profile/bob/cart": by(1)},
			"/profile/{id}/cart"},
		{map[string]asked{"/profile/ann": by(0), "/profile/bob": by(0)},
			"/profile/ann /profile/bob"},
		{map[string]asked{"/profile/ann": by(0, 1), "/profile/bob": by(1)},
			"/profile/ann /profile/bob"},
		{map[string]asked{"/profile/ann": by(0), "/profile/bob/x": by(1)},
			"/profile/ann /profile/bob/x"},
		{map[string]asked{"/profile/ann": by(0), "/profile/7": by(1)}, "/profile/{id}"},
		{map[string]asked{"/profile/ann": by(0), "/profile/7": by(0)},
			"/profile/ann /profile/{id}"},
		{map[string]asked{"/orders": by(0), "/bills": by(1)}, "/bills /orders"},
		{map[string]asked{"/ann": by(0), "/bob": by(1), "/eve": by(2)}, "/{id}"},
		{map[string]asked{"/users/james/7": by(0), "/x": by(1)}, "/users/{user_id}/{id} /x"},
		{map[string]asked{"/rules/spells/7": by(0, 1)}, "/rules/spells/{id}"},
		{map[string]asked{"/rules/spells/7": by(anonymous), "/x": by(1)}, "/rules/spells/{id} /x"},
		{map[string]asked{"/profile/ann": by(anonymous), "/profile/bob": by(1)},
			"/profile/ann /profile/bob"},
	} {
		tree := treeOf(c.of)
		var out []string
		for path := range c.of {
			found, _, _ := tree.of(path)
			if text := found.path.String(); !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
		slices.Sort(out)
		if got := strings.Join(out, " "); got != c.want {
			t.Errorf("%v: %s, want %s", c.of, got, c.want)
		}
	}
}

func TestManyWordsAtOnePlaceAreValues(t *testing.T) {
	var few, many []string
	for i := range maxWords + 1 {
		many = append(many, fmt.Sprintf("/tag/%c%c/x", 'a'+i/26, 'a'+i%26))
	}
	few = many[:maxWords]
	if got := templatesOf(few...); strings.Contains(got, "{") {
		t.Errorf("few: %s", got)
	}
	if got := templatesOf(many...); got != "/tag/{id}/x" {
		t.Errorf("many: %s", got)
	}
}

// A path that was not among those of the tree has a template only if it fits.
func TestAPathBesideTheTree(t *testing.T) {
	tree := treeOf(map[string]asked{"/items/1": by(0)})
	for path, want := range map[string]bool{
		"/items/2": true, "/items/": false, "/other": false, "/items/1/2": false,
	} {
		if _, _, ok := tree.of(path); ok != want {
			t.Errorf("%s: %t", path, ok)
		}
	}
}

func TestFiltersOfValues(t *testing.T) {
	const id = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
	for values, want := range map[string]string{"1 2 30": "int", "1 a": "", id: "uuid", id + " " +
		"1": "", "a b": "", "": ""} {
		if got := filterOf(strings.Fields(values)); got != want {
			t.Errorf("%s: %q", values, got)
		}
	}
}
