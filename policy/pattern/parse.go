package pattern

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Parse reads a pattern. A pattern that no request can match is an error, with the spelling that
// was probably meant.
func Parse(s string) (*Pattern, error) {
	p := &Pattern{source: s}
	path := s
	if strings.TrimSpace(s) != s {
		return nil, fmt.Errorf("a blank at its ends matches nothing: it is %q",
			strings.TrimSpace(s))
	}
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		method := s[:i]
		if others := severalPatterns(s); others != "" {
			return nil, fmt.Errorf("there are several: make a list of them, [%s]", others)
		}
		path = strings.TrimLeft(s[i:], " \t")
		if err := methodFault(method, path); err != nil {
			return nil, err
		}
		p.method = method
	}
	if !strings.HasPrefix(path, "/") {
		return nil, pathFault(p.method, path)
	}
	if i := strings.Index(path, "(?"); i >= 0 {
		return nil, errors.New(
			"a pattern is no regular expression: a wildcard is like {id}, and matches one whole segment")
	}
	if i := strings.IndexAny(path, "?#"); i >= 0 &&
		strings.Count(path[:i], "{") == strings.Count(path[:i], "}") {
		if path[i] == '#' {
			return nil, fmt.Errorf("no client sends what begins with \"#\": match %q", path[:i])
		}
		return nil, fmt.Errorf("a path ends before %q: match %q, and use {query.…} in tags",
			path[i:i+1], path[:i])
	}
	seen := map[string]bool{}
	parts := strings.Split(path[1:], "/")
	for i, part := range parts {
		seg, err := parseSegment(part, i == len(parts)-1)
		if err != nil {
			return nil, err
		}
		if seg.kind != literal && seg.text != "" {
			if seen[seg.text] {
				return nil, fmt.Errorf("the wildcard {%s} stands there twice", seg.text)
			}
			seen[seg.text] = true
		}
		p.segments = append(p.segments, seg)
	}
	return p, nil
}

func parseSegment(part string, last bool) (segment, error) {
	switch {
	case part == "" && last:
		return segment{kind: rest}, nil // a trailing slash: everything below
	case part == "":
		return segment{},
			errors.New("'//' in a pattern never matches what a client means: take one slash out")
	case part == "..." && last:
		return segment{},
			errors.New(`"..." would match itself alone: a wildcard for all that follows is like {rest...}`)
	case part == "." || part == "..":
		return segment{}, fmt.Errorf(
			"%q is a dot segment, which servers resolve: write the path that it leads to", part)
	case part == "{$}" && last:
		return segment{kind: literal}, nil
	case part == "{$}":
		return segment{}, errors.New("{$} may only stand at the end")
	}
	name, open := strings.CutPrefix(part, "{")
	if !open {
		if right := otherSyntax(part, last); right != "" {
			return segment{},
				fmt.Errorf("%q would match itself alone: a wildcard is like %s", part, right)
		}
		if strings.ContainsAny(part, "{}") {
			return segment{}, fmt.Errorf("%q: a wildcard is a whole segment, like /{id}/", part)
		}
		text, err := url.PathUnescape(part)
		if err != nil {
			return segment{},
				fmt.Errorf("%q is not well escaped: a %% itself is written %%25", part)
		}
		if err := literalFault(part, text); err != nil {
			return segment{}, err
		}
		return segment{literal, text, folded(text)}, nil
	}
	name, closed := strings.CutSuffix(name, "}")
	switch {
	case !closed && isIdentifier(name):
		return segment{}, fmt.Errorf("%q is not closed: {%s}", part, name)
	case !closed:
		return segment{}, fmt.Errorf("%q: a wildcard is a whole segment, like /{id}/", part)
	case strings.HasSuffix(name, "…"):
		return segment{}, fmt.Errorf("%q: three dots make a wildcard for all that follows, {%s...}",
			part, strings.TrimSuffix(name, "…"))
	}
	name, multi := strings.CutSuffix(name, "...")
	switch {
	case isIdentifier(leading(name)) && strings.IndexAny(name, ":?*+=<(") == len(leading(name)):
		return segment{},
			fmt.Errorf("%q: a wildcard has a name and nothing else, like {%s}", part, leading(name))
	case strings.Contains(name, "-") && isIdentifier(strings.ReplaceAll(name, "-", "_")):
		return segment{},
			fmt.Errorf("%q: a wildcard's name is made of letters, digits and '_': {%s}",
				part, strings.ReplaceAll(name, "-", "_"))
	case !isIdentifier(name):
		return segment{},
			fmt.Errorf("%q: a wildcard's name is made of letters, digits and '_', like {id}", part)
	case multi && !last:
		return segment{}, fmt.Errorf("%q may only stand at the end", part)
	case multi:
		return segment{rest, name, name}, nil
	}
	return segment{wildcard, name, name}, nil
}

// otherSyntax is the wildcard that a segment stands for in the syntax of other routers: :id, *, **,
// *rest, <id>, <int:id>, [id], [...rest], (.*). It is "" for an ordinary segment.
func otherSyntax(part string, last bool) string {
	rest := "{rest...}"
	if !last {
		rest = "{name}"
	}
	name := leading(strings.TrimLeft(part, ":*<[(.$@"))
	if name == "" {
		name = "id"
	}
	bracketed := func(open, end string) bool {
		return strings.HasPrefix(part, open) && strings.HasSuffix(part, end)
	}
	switch {
	case strings.Contains(part, "*"):
		return rest
	case bracketed("[...", "]"), bracketed("[[...", "]]"):
		return "{" + name + "...}"
	case bracketed("<", ">"):
		name = leading(part[strings.LastIndexAny(part, "<:")+1:])
		return "{" + name + "}"
	case part[0] == ':' && len(part) > 1, bracketed("[", "]"), bracketed("(", ")"):
		return "{" + name + "}"
	}
	return ""
}

// leading is the name at the beginning of s.
func leading(s string) string {
	end := strings.IndexFunc(s, func(r rune) bool {
		return r > 0x7f || r != '_' && !isLetterOrDigit(byte(r))
	})
	if end < 0 {
		end = len(s)
	}
	return s[:end]
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') &&
			(i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
