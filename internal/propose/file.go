// Package propose writes a first policies file: live routes, and suggestions that are commented
// out, each with the reasons beside it. It derives tags, and the relations of writes to reads, from
// paths. Its users, which know a document or the traffic, decide the proposals.
package propose

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// width is that of comments, in columns.
const width = 100

// A File is a policies file to write.
type File struct {
	Head        []string // paragraphs
	Credentials []string // of the caller block; empty: the default
	Routes      []Route
	Tail        []string // paragraphs
}

// A Route is one route, with its reasons.
type Route struct {
	Live       bool // else it is commented out
	Comment    []string
	Name       string // a name that others have too gets a number
	Match      []string
	Cache      *Cache
	Invalidate []Tag
}

// A Cache is a cache block.
type Cache struct {
	Scope string
	TTL   time.Duration // 0: the answers state their own lifetime
	Tags  []Tag
	Vary  []string
	Drop  []string // cookies of the answer that are not stored

	Override bool // the TTL wins over the lifetime that answers state
	Ignore   bool // the answers' own Cache-Control counts for nothing
}

// Bytes is the file. A line that is commented out has no blank behind its '#', prose has one.
func (f *File) Bytes() []byte {
	f.settle()
	w := &writer{used: map[string]bool{}, carried: f.carried()}
	for _, paragraph := range f.Head {
		w.prose("", paragraph)
	}
	w.line("version: 1")
	if len(f.Credentials) > 0 {
		w.line("")
		w.line("caller:")
		w.line("  credentials: " + flow(f.Credentials))
	}
	w.line("")
	if !slices.ContainsFunc(f.Routes, func(r Route) bool { return w.live(r) }) {
		w.line("routes: []")
		w.prose("", "Nothing is proposed for certain. Replace [] by the suggestions below that "+
			"you take over.")
	} else {
		w.line("routes:")
	}
	w.routes(f.Routes)
	for _, paragraph := range f.Tail {
		w.line("")
		w.prose("", paragraph)
	}
	return w.Bytes()
}

// Count is how many routes are live, and how many are commented out.
func (f *File) Count() (live, suggested int) {
	f.settle()
	w := &writer{carried: f.carried()}
	for _, r := range f.Routes {
		if w.live(r) {
			live++
		}
	}
	return live, len(f.Routes) - live
}

// carried are the tags of live reads, and the families of these.
func (f *File) carried() map[string]bool {
	out := map[string]bool{}
	for _, r := range f.Routes {
		if r.Live && r.Cache != nil {
			for _, t := range r.Cache.Tags {
				out[shape(t)] = true
				if len(t.Holes) > 0 {
					out[shape(Tag{Name: t.Name, Family: true})] = true
				}
			}
		}
	}
	return out
}

// shape is a tag without the names of its wildcards.
func shape(t Tag) string {
	if t.Family {
		return t.String()
	}
	return t.Name + strings.Repeat(":", len(t.Holes))
}

type writer struct {
	bytes.Buffer
	used    map[string]bool // names of routes
	carried map[string]bool
	all     bool // every tag counts as carried
}

func (w *writer) line(s string) { w.WriteString(s + "\n") }

// live reports whether a route is written live. A write that invalidates nothing live is none.
func (w *writer) live(r Route) bool {
	return r.Live && (r.Cache != nil || slices.ContainsFunc(r.Invalidate, w.carries))
}

func (w *writer) carries(t Tag) bool { return w.all || w.carried[shape(t)] }

// routes writes all live routes, and suggestions as long as there is room for them.
func (w *writer) routes(list []Route) {
	room := maxBytes - w.Len()
	for _, r := range list {
		if w.live(r) {
			room -= r.size()
		}
	}
	left := 0
	for i, r := range list {
		if !w.live(r) {
			if room -= 2 * r.size(); room < 0 { // comments have more
				left++
				continue
			}
		}
		if i > 0 {
			w.line("")
		}
		w.route(r)
	}
	if left > 0 {
		w.line("")
		w.prose("", itoa(left)+" more suggestions are left out: the file would be too long.")
	}
}

func (w *writer) route(r Route) {
	for _, paragraph := range r.Comment {
		w.prose("  ", paragraph)
	}
	begin := "  "
	live := w.live(r)
	if !live {
		begin = "  #"
	}
	w.line(begin + "- name: " + scalar(unused(r.Name, w.used)))
	if len(r.Match) == 1 {
		w.line(begin + "  match: " + scalar(r.Match[0]))
	} else {
		w.line(begin + "  match:")
		for _, m := range r.Match {
			w.line(begin + "    - " + scalar(m))
		}
	}
	if c := r.Cache; c != nil {
		w.line(begin + "  cache: " + c.flow())
	}
	if len(r.Invalidate) == 0 {
		return
	}
	w.line(begin + "  invalidate:")
	for _, t := range r.Invalidate {
		if live && !w.carries(t) {
			w.line("    #- " + quoted(t.String())) // of a read that is commented out
		} else {
			w.line(begin + "    - " + quoted(t.String()))
		}
	}
}

// flow is the block in one line.
func (c *Cache) flow() string {
	parts := []string{"scope: " + c.Scope}
	if c.TTL > 0 {
		parts = append(parts, "ttl: "+Duration(c.TTL))
	}
	if c.Override {
		parts = append(parts, "override: true")
	}
	if c.Ignore {
		parts = append(parts, "response_directives: ignore")
	}
	if len(c.Tags) > 0 {
		tags := make([]string, len(c.Tags))
		for i, t := range c.Tags {
			tags[i] = t.String()
		}
		parts = append(parts, "tags: "+flow(tags))
	}
	if len(c.Vary) > 0 {
		parts = append(parts, "vary: "+flow(c.Vary))
	}
	if len(c.Drop) > 0 {
		parts = append(parts, "set_cookie: {drop: "+flow(c.Drop)+"}")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// Duration is a time as policies have it: 5m and not 5m0s.
func Duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// prose writes a comment, wrapped, and nothing in it ends a line.
func (w *writer) prose(indent, text string) {
	line := indent + "#"
	between := func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsGraphic(c) }
	for _, word := range strings.FieldsFunc(text, between) {
		if len([]rune(line))+1+len([]rune(word)) > width && line != indent+"#" {
			w.line(line)
			line = indent + "#"
		}
		line += " " + word
	}
	w.line(line)
}

var plain = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9/{}._~-]*( [A-Za-z0-9/{}._~$-]+)*$`)

// yamlWords are no texts without quotes.
var yamlWords = strings.Fields("null true false yes no on off y n")

// scalar is a text as a value of its own line.
func scalar(s string) string {
	if plain.MatchString(s) && !slices.Contains(yamlWords, s) {
		return s
	}
	return quoted(s)
}

// quoted is a text between double quotes: those of YAML take all that JSON writes.
func quoted(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text can be encoded
	return strings.TrimSpace(b.String())
}

func flow(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quoted(s)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
