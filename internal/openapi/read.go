// Package openapi proposes a first policies file from an OpenAPI document (3.0 and later).
package openapi

import (
	"fmt"
	"regexp"
	"strings"
)

// MaxSize bounds a document, in bytes.
const MaxSize = 16 << 20

// Read reads a document in JSON or YAML, as far as policies depend on it. No other document is read
// for it: there a reference to one is an error. name is that of the document, for messages.
func Read(name string, content []byte) (*Document, error) {
	if len(content) > MaxSize {
		return nil, fmt.Errorf("%s: it is longer than %d MiB", name, MaxSize>>20)
	}
	if m := versionLine.FindSubmatch(content); m != nil {
		return nil, fmt.Errorf("%s: it is Swagger %s: convert it to OpenAPI 3 first", name, m[1])
	}
	root, err := parse(content)
	if err != nil {
		return nil, told(name, err)
	}
	r := &tree{name: name, root: root, left: maxReads}
	doc := r.document()
	switch {
	case r.err != nil:
		return nil, r.err
	case !strings.HasPrefix(doc.version, "3."):
		return nil, fmt.Errorf("%s: it is no OpenAPI document of version 3: "+
			"that begins with openapi: 3.1.0, or 3.0.3", name)
	case len(doc.paths) == 0:
		return nil, fmt.Errorf("%s: it has no paths, so there is nothing to propose", name)
	}
	return doc, nil
}

// versionLine is that of a Swagger document, whose version has no third part.
var versionLine = regexp.MustCompile(`(?m)^[\s{]*["']?swagger["']?\s*:\s*["']?(\d+\.\d+)`)

var lineOf = regexp.MustCompile(`line (\d+): `)

// told is an error of the parser in one line, with its place in front.
func told(name string, err error) error {
	const longest = 300
	text := strings.TrimPrefix(strings.Join(strings.Fields(err.Error()), " "), "yaml: ")
	if m := lineOf.FindStringSubmatch(text); m != nil {
		name, text = name+":"+m[1], strings.Replace(text, m[0], "", 1)
	}
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return fmt.Errorf("%s: %s", name, text)
}
