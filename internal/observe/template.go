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

// asked is how a path was asked for, and by whom.
type asked struct {
	methods map[string]bool
	by      persons
}

// persons are those who asked for something; the first two are enough to tell one from several.
type persons struct {
	first, second int32
	n             int
}

// add adds one who asks. Nobody knows how many have no credentials.
func (p *persons) add(who int32) {
	switch {
	case who < 0 && p.n < 2:
		p.first, p.second, p.n = anonymous, unclear, 2
	case p.n == 0:
		p.first, p.n = who, 1
	case p.n == 1 && who != p.first:
		p.second, p.n = who, 2
	}
}

func (p *persons) merge(other persons) {
	if other.n > 0 {
		p.add(other.first)
	}
	if other.n > 1 {
		p.add(other.second)
	}
}

// A node is a segment in the tree of all paths that were answered.
type node struct {
	children map[string]*node
	wild     *node           // of values; nil: there is none
	methods  map[string]bool // of requests that end here
	by       persons         // of requests that pass here
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
var known = func() map[string]bool {
	words := map[string]bool{}
	for _, word := range strings.Fields(`me self new all count latest current recent import active
		inactive pending open closed mine popular archive archived settings config schema profile
		account preferences summary overview history list detail details info index home random
		bulk batch sync generate create update delete edit add remove run start stop cancel retry
		approve reject send upload publish trade graphql rest rpc public private`) {
		words[word] = true
	}
	return words
}()

// isKnown reports whether a word is one of many APIs, and so nobody's name.
func isKnown(word string) bool {
	word = strings.ToLower(word)
	return known[word] || isStem(word) ||
		propose.Fickle(propose.Path{{Text: word}}) == word
}

// isStem reports whether a segment comes before the first resource: "api", "v1".
func isStem(segment string) bool {
	return strings.EqualFold(segment, "api") || version.MatchString(segment)
}

// isPlural reports whether a word looks like the name of a collection.
func isPlural(word string) bool {
	switch word = strings.ToLower(word); word {
	case "people", "children", "media":
		return true
	}
	stem, ok := strings.CutSuffix(word, "s")
	return ok && len(stem) > 1 && !strings.ContainsAny(stem[len(stem)-1:], "siu")
}

func isLiteral(segment string) bool {
	return segment == "" || word.MatchString(segment) || version.MatchString(segment)
}

// A place is where a segment stands.
type place int

const (
	atTop    place = iota // the names of resources
	inList                // behind a collection: values, but for few
	atMember              // behind a value, or another word
)

func (p place) behind(segment string) place {
	switch {
	case p == atTop && isStem(segment):
		return atTop
	case isPlural(segment):
		return inList
	}
	return atMember
}

// treeOf is the tree of paths.
func treeOf(paths map[string]asked) *node {
	root := newNode()
	for path, a := range paths {
		n := root
		n.by.merge(a.by)
		for segment := range strings.SplitSeq(path[1:], "/") {
			child := n.children[segment]
			if child == nil {
				child = newNode()
				n.children[segment] = child
			}
			n = child
			n.by.merge(a.by)
		}
		for m := range a.methods {
			n.methods[m] = true
		}
	}
	root.collapse(atTop, root.by.n > 1)
	return root
}

// collapse makes one wildcard of the children that are values. several: more than one person was
// seen in all.
func (n *node) collapse(at place, several bool) {
	for text, child := range n.children {
		if !isLiteral(text) {
			n.toWild(text, child)
		}
	}
	for text, child := range n.children {
		child.collapse(at.behind(text), several)
	}
	if n.wild != nil {
		n.wild.collapse(atMember, several)
	}
	before := len(n.children)
	if at == inList {
		n.collapseList(several)
	}
	n.collapseNames(at)
	n.collapseWords()
	if len(n.children) < before {
		n.wild.collapse(atMember, several)
	}
}

// collapseList takes the words behind the name of a collection for values, as those of people and
// the slugs of articles. A collection of its own there, as in /rules/spells, is a literal where it
// is the only word, and several persons ask for it, or only one was seen in all.
func (n *node) collapseList(several bool) {
	var words []string
	for text := range n.children {
		if text != "" && !isKnown(text) {
			words = append(words, text)
		}
	}
	if len(words) == 1 && n.wild == nil {
		text := words[0]
		child := n.children[text]
		if isPlural(text) && !strings.ContainsAny(text, "-_") && (child.by.n > 1 || !several) &&
			(child.wild != nil || child.methods[http.MethodPost]) {
			return
		}
	}
	for _, text := range words {
		n.toWild(text, n.children[text])
	}
}

// collapseNames takes words for values that one person each asks for, where others are asked for in
// the same way by somebody else: so are paths that have the caller's name.
func (n *node) collapseNames(at place) {
	least := 2
	if at == atTop {
		least = 3 // resources may be alike, and used by one each
	}
	alike := map[string][]string{}
	for text, child := range n.children {
		if text != "" && !isKnown(text) && child.by.n == 1 {
			shape := strings.Join(child.shape(), " ")
			alike[shape] = append(alike[shape], text)
		}
	}
	for shape, words := range alike {
		var owners []int32
		if at != atTop && n.wild != nil && shape == strings.Join(n.wild.shape(), " ") {
			owners = append(owners, n.wild.by.first)
			if n.wild.by.n > 1 {
				owners = append(owners, n.wild.by.second)
			}
		}
		for _, text := range words {
			if who := n.children[text].by.first; !slices.Contains(owners, who) {
				owners = append(owners, who)
			}
		}
		if len(owners) < least {
			continue
		}
		for _, text := range words {
			n.toWild(text, n.children[text])
		}
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
	n.by.merge(other.by)
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
		if text == "" || isKnown(text) {
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
