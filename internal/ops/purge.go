package ops

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/problem"
)

// maxPurge bounds a purge request's body in bytes.
const maxPurge = 1 << 20

// purgeRequest is the body of POST /admin/purge. At least one of its fields is set.
type purgeRequest struct {
	Tags []string `json:"tags"`
	URLs []string `json:"urls"`
	All  bool     `json:"all"`
}

func (o Options) purge(w http.ResponseWriter, r *http.Request) {
	var request purgeRequest
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxPurge))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil {
		problem.Write(w, http.StatusBadRequest, `The body is to be {"tags": […]}, {"urls": […]} or {"all": true}: `+err.Error()+".")
		return
	}
	tags, fault := o.tagsOf(request)
	if fault != "" {
		problem.Write(w, http.StatusBadRequest, fault)
		return
	}
	if err := o.Purger.Purge(r.Context(), tags); err != nil {
		problem.Write(w, http.StatusServiceUnavailable, "Redis did not take the purge. This sidecar reads nothing from Redis until it does; others may serve what was to be purged until then.")
		return
	}
	writeJSON(w, http.StatusOK, map[string]int{"purged": len(tags)})
}

// tagsOf reads the tags of a purge. It changes nothing; a fault anywhere, which it returns as a sentence, refuses the whole.
func (o Options) tagsOf(request purgeRequest) (tags []cachekeys.Tag, fault string) {
	for _, text := range request.Tags {
		tag, ok := cachekeys.ParseTag(text)
		if !ok {
			return nil, fmt.Sprintf("%q is no tag: it is like character:42, or character:* for a family.", text)
		}
		if prefix, family := tag.IsFamily(); family && !o.Purger.Family(prefix) {
			return nil, fmt.Sprintf("Entries do not carry the family %q: the policies name it nowhere, neither before a {…} of a tag nor in an invalidate.", text)
		}
		tags = append(tags, tag)
	}
	for _, text := range request.URLs {
		path, ok := pathOf(text)
		if !ok {
			return nil, fmt.Sprintf("%q is no URL: it is like /api/characters/42 or https://game.example/api/characters/42.", text)
		}
		tags = append(tags, cachekeys.OwnURI(cachekeys.CanonicalPath(path)))
	}
	if request.All {
		tags = append(tags, cachekeys.All)
	}
	if len(tags) == 0 {
		return nil, `Nothing to purge: give "tags", "urls" or "all": true.`
	}
	return tags, ""
}

// pathOf is the raw path of a URL or of a path alone. A URL is purged for every query and authority.
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
