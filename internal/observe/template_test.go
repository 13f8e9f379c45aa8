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
		{"/users/5 /users/a /users/b", "/users/a /users/b /users/{id}"},
		{"/users/5 /users/profile/photo", "/users/profile/photo /users/{id}"},
		{"/maps /maps/a /maps/b /maps/c /maps/d /maps/e", "/maps /maps/{id}"}, // below a list
		{"/maps /maps/a/x /maps/b/x /maps/c/x /maps/d/x /maps/e/x", "/maps /maps/{id}/x"},
		{"/maps /maps/a /maps/b /maps/c /maps/d /maps/e/x", "/maps /maps/a /maps/b /maps/c " +
			"/maps/d /maps/e/x"},
		{"/maps/a /maps/b /maps/c /maps/d /maps/e", "/maps/a /maps/b /maps/c /maps/d /maps/e"},
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
	asked := map[string]map[string]bool{}
	for _, p := range paths {
		asked[p] = map[string]bool{"GET": true}
	}
	tree := treeOf(asked)
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

func TestManyWordsAtOnePlaceAreValues(t *testing.T) {
	var few, many []string
	for i := range maxWords + 1 {
		many = append(many, fmt.Sprintf("/tags/%c%c/x", 'a'+i/26, 'a'+i%26))
	}
	few = many[:maxWords]
	if got := templatesOf(few...); strings.Contains(got, "{") {
		t.Errorf("few: %s", got)
	}
	if got := templatesOf(many...); got != "/tags/{id}/x" {
		t.Errorf("many: %s", got)
	}
}

// A path that was not among those of the tree has a template only if it fits.
func TestAPathBesideTheTree(t *testing.T) {
	tree := treeOf(map[string]map[string]bool{"/items/1": {"GET": true}})
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
