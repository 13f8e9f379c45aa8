package observe

import (
	"net/http"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/propose"
)

func itoa(n int) string { return strconv.Itoa(n) }

// A node is a segment in the tree of all paths that were answered.
type node struct {
	children map[string]*node
	wild     *node           // of values; nil: there is none
	methods  map[string]bool // of requests that end here
}

func newNode() *node { return &node{children: map[string]*node{}, methods: map[string]bool{}} }

// Words at one place are values where so many are alike, or where there are more than maxWords.
const (
	leastWords = 5
	maxWords   = 40
)

// A word looks like a literal of a route. All else is a value: it has a digit, other signs, or too
// many letters.
var (
	word    = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]{0,29}(\.[A-Za-z]{2,5})?$`)
	version = regexp.MustCompile(`^[vV]\d{1,2}(\.\d{1,2})?$`)
)

// known are segments that name a route, though they stand where others are values.
var known = strings.Fields(`me self search new count stats latest current all recent export import
	login logout oauth2 active mine popular archive settings config schema`)

func isLiteral(segment string) bool {
	return segment == "" || word.MatchString(segment) || version.MatchString(segment) ||
		slices.Contains(known, segment)
}

// treeOf is the tree of paths with their methods.
func treeOf(paths map[string]map[string]bool) *node {
	root := newNode()
	for path, methods := range paths {
		n := root
		for segment := range strings.SplitSeq(path[1:], "/") {
			child := n.children[segment]
			if child == nil {
				child = newNode()
				n.children[segment] = child
			}
			n = child
		}
		for m := range methods {
			n.methods[m] = true
		}
	}
	root.collapse()
	return root
}

// collapse makes one wildcard of the children that are values.
func (n *node) collapse() {
	for text, child := range n.children {
		if !isLiteral(text) {
			n.toWild(text, child)
		}
	}
	for _, child := range n.children {
		child.collapse()
	}
	if n.wild != nil {
		n.wild.collapse()
	}
	before := len(n.children)
	n.collapseWords()
	if len(n.children) < before {
		n.wild.collapse()
	}
}

func (n *node) toWild(text string, child *node) {
	if n.wild == nil {
		n.wild = newNode()
	}
	delete(n.children, text)
	n.wild.merge(child)
}

func (n *node) merge(other *node) {
	for m := range other.methods {
		n.methods[m] = true
	}
	for text, child := range other.children {
		if n.children[text] == nil {
			n.children[text] = newNode()
		}
		n.children[text].merge(child)
	}
	if other.wild != nil {
		if n.wild == nil {
			n.wild = newNode()
		}
		n.wild.merge(other.wild)
	}
}

// collapseWords takes words for values too, where enough of them have the same routes below them:
// beside values that have these routes as well, or below a list. And all where they are many.
func (n *node) collapseWords() {
	alike := map[string][]string{} // words by what lies below them
	all := 0
	for text, child := range n.children {
		if text == "" || slices.Contains(known, text) || version.MatchString(text) {
			continue
		}
		all++
		shape := strings.Join(child.shape(), " ")
		alike[shape] = append(alike[shape], text)
	}
	var below []string
	if n.wild != nil {
		below = n.wild.shape()
	}
	for shape, words := range alike {
		beside := n.wild != nil && !slices.ContainsFunc(strings.Split(shape, " "),
			func(s string) bool { return !slices.Contains(below, s) })
		few := len(words) < leastWords || !beside && !n.methods[http.MethodGet]
		if few && all <= maxWords {
			continue
		}
		for _, text := range words {
			n.toWild(text, n.children[text])
		}
	}
}

// maxShape bounds the comparison of the routes below a node.
const maxShape = 50

// shape has the routes below a node, sorted.
func (n *node) shape() (out []string) {
	var walk func(n *node, at string)
	walk = func(n *node, at string) {
		for m := range n.methods {
			if len(out) < maxShape {
				out = append(out, m+at)
			}
		}
		for text, child := range n.children {
			walk(child, at+"/"+text)
		}
		if n.wild != nil {
			walk(n.wild, at+"/*")
		}
	}
	walk(n, "")
	sort.Strings(out)
	return out
}

// A template is the path of a route.
type template struct {
	path   propose.Path
	values []int // places of the wildcards
}

// of is the template of a path, and the values of its wildcards.
func (n *node) of(path string) (t template, values []string, ok bool) {
	segments := strings.Split(path[1:], "/")
	var parts []string
	for i, segment := range segments {
		child, literal := n.children[segment]
		if !literal {
			if child = n.wild; child == nil || segment == "" {
				return t, nil, false
			}
			t.values = append(t.values, i)
			values = append(values, segment)
			segment = "{" + segment + "}"
		}
		n, parts = child, append(parts, segment)
	}
	for i, at := range t.values {
		name := "id"
		if len(t.values) > 1 && i < len(t.values) && at > 0 &&
			!strings.HasPrefix(parts[at-1], "{") {
			name = singular(parts[at-1]) + "_id"
		}
		parts[at] = "{" + name + "}"
	}
	t.path, ok = propose.ParsePath("/" + strings.Join(parts, "/"))
	return t, values, ok
}

func singular(s string) string { return strings.TrimSuffix(strings.ToLower(s), "s") }

// filterOf is the filter that all values of a wildcard have in common.
func filterOf(values []string) string {
	filter := cachekeys.AsIs
	for i, v := range values {
		f := cachekeys.FilterFor(v)
		if i > 0 && f != filter {
			return ""
		}
		filter = f
	}
	return strings.TrimPrefix(filter.String(), "|")
}
