package policy

import (
	"bytes"
	"mime"
	"net/http"
	"slices"
	"strings"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
	"sidecar/internal/jsonbody"
)

// A POST may say in its body that it is a PUT, a PATCH or a DELETE (_method=PUT in a form). Only
// when its body is in hand is it known; until then the matches of these methods are candidates.

// bodyMethods are the methods that frameworks let the body of a POST name.
var bodyMethods = []string{http.MethodPut, http.MethodPatch, http.MethodDelete}

// A candidate is a match under a method that the body may name.
type candidate struct {
	match
	method string
}

// candidates are the matches of the methods that the body of a POST may name.
func (t *Table) candidates(req httpfield.Request, list []aim, methods []string) (out []candidate) {
	if !req.HasBody || !slices.Contains(methods, http.MethodPost) {
		return nil
	}
	var under []string
	for _, m := range bodyMethods {
		if !slices.Contains(methods, m) {
			under = append(under, m)
		}
	}
	for _, target := range list {
		t.each([]aim{{target.forms, under}}, func(m match, method string) {
			if m.Target.kind == Deny || writes(m, method) {
				// A match that holds in any case is dropped by matchesOf.
				out = append(out, candidate{m, method})
			}
		})
	}
	return out
}

// matchesOf are the matches of the request, now that its body is in hand, or is known not to be.
func (w *WritePlan) matchesOf(sent *Body) []match {
	if len(w.candidates) == 0 {
		return w.matches.list
	}
	methods, known := sent.methods(w.table.maxInspect)
	var all matchSet
	for _, m := range w.matches.list {
		all.addOne(m)
	}
	for _, c := range w.candidates {
		if c.Target.kind != Deny && (!known || slices.Contains(methods, c.method)) {
			all.add(c.match)
		}
	}
	return all.list
}

// DeniedBy is the route that denies the request for the method that its body names, or may name; ""
// if none does. Then nothing of it may reach the backend.
func (w *WritePlan) DeniedBy(sent *Body) (route string) {
	for _, c := range w.candidates {
		if c.Target.kind != Deny {
			continue
		}
		methods, known := sent.methods(w.table.maxInspect)
		if known && slices.Contains(methods, c.method) || !known && w.isForm() {
			return c.Target.name
		}
	}
	return ""
}

// isForm reports whether the request says that its body is a form, or does not say clearly that
// it is something else.
func (w *WritePlan) isForm() bool {
	types := w.request.Fields.Values("Content-Type")
	if len(types) != 1 || hasTwin(w.request.Fields, "content-type") {
		return true
	}
	media, _, err := mime.ParseMediaType(types[0])
	return err != nil || media == "application/x-www-form-urlencoded" ||
		strings.HasPrefix(media, "multipart/")
}

// methods are the methods that the content names in the place of POST. known is false if it may
// name some that cannot be read.
func (b *Body) methods(most int64) (methods []string, known bool) {
	if b == nil {
		return nil, false
	}
	b.scanned.Do(func() { b.named, b.known = b.scan(most) })
	return b.named, b.known
}

// maxFormFields bounds the fields of a form that are looked at.
const maxFormFields = 1000

func (b *Body) scan(most int64) (methods []string, known bool) {
	content, ok := jsonbody.Unpack(b.content, b.coding, most)
	if !ok {
		return nil, false
	}
	media, params, err := mime.ParseMediaType(b.mediaType)
	switch {
	case err == nil && media == "application/x-www-form-urlencoded":
		if bytes.Count(content, []byte("&")) > maxFormFields ||
			bytes.Contains(content, []byte(";")) || !isASCIICharset(params) {
			return nil, false
		}
		for name, value := range cachekeys.ParseQuery(string(content)).All() {
			if isOverride(name) {
				methods = append(methods, strings.ToUpper(strings.TrimSpace(value)))
			}
		}
		return methods, true
	case err == nil && jsonbody.IsJSON(b.mediaType):
		if values, ok := b.values("_method", 1, most); ok {
			return []string{strings.ToUpper(strings.Join(values, ","))}, true
		}
		return nil, true
	}
	if bytes.Contains(bytes.ToLower(content), []byte("method")) {
		return nil, false
	}
	switch {
	case err == nil && strings.HasPrefix(media, "multipart/"):
		return nil, !hasEscapedName(content)
	case err != nil, strings.HasPrefix(media, "text/"):
		// Some servers read it as a form, or as JSON, all the same: with names in escapes.
		return nil, !bytes.ContainsAny(content, "%\\")
	}
	return nil, true
}

// isASCIICharset reports whether a form is in a charset that has ASCII in it.
func isASCIICharset(params map[string]string) bool {
	switch strings.ToLower(params["charset"]) {
	case "", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin1", "windows-1252":
		return true
	}
	return false
}

// hasEscapedName reports whether the name of a part of a multipart form may be written in escapes.
func hasEscapedName(content []byte) bool {
	for line := range bytes.Lines(content) {
		if !bytes.Contains(bytes.ToLower(line), []byte("name")) {
			continue
		}
		if bytes.ContainsAny(line, `\%`) || bytes.Contains(line, []byte("*")) ||
			bytes.Contains(line, []byte("=?")) {
			return true
		}
	}
	return false
}
