package invalidation

import (
	"fmt"
	"net/url"
	"strings"

	"sidecar/cachekeys"
	"sidecar/policy/pattern"
)

// A Request names the tags to drop, in the JSON form of the ops address.
type Request struct {
	Tags []string `json:"tags"` // like character:42, or character:* for a family
	// paths or whole URLs; each is dropped for every query and authority
	URLs []string `json:"urls"`
	All  bool     `json:"all"`
}

// Parse reads the tags of a request. A fault anywhere refuses the whole request; it is a sentence
// for its sender. Parse changes nothing.
func (i *Invalidator) Parse(r Request) (tags []cachekeys.Tag, fault string) {
	for _, text := range r.Tags {
		tag, ok := cachekeys.ParseTag(text)
		if !ok {
			return nil, fmt.Sprintf(
				"%q is no tag: a tag is like character:42, or character:* for a family.", text)
		}
		if prefix, family := tag.IsFamily(); family && !i.Table().Family(prefix) {
			return nil, fmt.Sprintf(
				"Entries do not carry the family %q: the policies name it nowhere,"+
					" neither before a {…} of a tag nor in an invalidate.", text)
		}
		tags = append(tags, tag)
	}
	for _, text := range r.URLs {
		path, ok := pathOf(text)
		if !ok {
			return nil, fmt.Sprintf("%q is no URL: a URL is like /api/characters/42"+
				" or https://game.example/api/characters/42.", text)
		}
		tags = append(tags, cachekeys.OwnURI(pattern.Canonical(path)))
	}
	if r.All {
		tags = append(tags, cachekeys.All)
	}
	if len(tags) == 0 {
		return nil, `Nothing to purge: give "tags", "urls" or "all": true.`
	}
	return tags, ""
}

// pathOf is the raw path of a URL, or of a path alone.
func pathOf(text string) (path string, ok bool) {
	if strings.HasPrefix(text, "/") {
		path, _, _ = strings.Cut(text, "?")
		return path, true
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", false
	}
	return u.EscapedPath(), true
}
