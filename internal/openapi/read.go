// Package openapi proposes a first policies file from an OpenAPI document (3.0 and later).
package openapi

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// MaxSize bounds a document, in bytes.
const MaxSize = 16 << 20

// Read reads a document in JSON or YAML. No other document is read for it: a reference to one is an
// error. name is that of the document, for messages.
func Read(name string, content []byte) (*openapi3.T, error) {
	if len(content) > MaxSize {
		return nil, fmt.Errorf("%s: it is longer than %d MiB", name, MaxSize>>20)
	}
	if m := versionLine.FindSubmatch(content); m != nil {
		return nil, fmt.Errorf("%s: it is Swagger %s: convert it to OpenAPI 3 first", name, m[1])
	}
	loader := openapi3.NewLoader() // external references are off
	loader.IncludeOrigin = true
	doc, err := loader.LoadFromData(content)
	var external *openapi3.DisallowedExternalRefError
	switch {
	case errors.As(err, &external):
		return nil, fmt.Errorf("%s: it refers to another document, %q, and none is read: "+
			"bundle them into one file first", place(name, content, external.Ref), external.Ref)
	case err != nil:
		return nil, told(name, content, err)
	case !strings.HasPrefix(doc.OpenAPI, "3."):
		return nil, fmt.Errorf("%s: it is no OpenAPI document of version 3: "+
			"that begins with openapi: 3.1.0, or 3.0.3", name)
	case doc.Paths.Len() == 0:
		return nil, fmt.Errorf("%s: it has no paths, so there is nothing to propose", name)
	}
	return doc, nil
}

// versionLine is that of a Swagger document, whose version has no third part.
var versionLine = regexp.MustCompile(`(?m)^[\s{]*["']?swagger["']?\s*:\s*["']?(\d+\.\d+)`)

// place is name with the line that has the text first.
func place(name string, content []byte, text string) string {
	before, _, found := strings.Cut(string(content), text)
	if !found {
		return name
	}
	return fmt.Sprintf("%s:%d", name, strings.Count(before, "\n")+1)
}

var (
	lineOf     = regexp.MustCompile(`line (\d+): `)
	unresolved = regexp.MustCompile(`in fragment in URI: "([^"]+)"`)
)

// told is an error of the library in one line, with its place in front.
func told(name string, content []byte, err error) error {
	const longest = 300
	text := strings.Join(strings.Fields(err.Error()), " ")
	for _, prefix := range []string{"failed to unmarshal data: ", "yaml error: ", "yaml: ",
		"construct errors: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	if m := unresolved.FindStringSubmatch(text); m != nil {
		name = place(name, content, m[1])
	} else if m := lineOf.FindStringSubmatch(text); m != nil {
		name, text = name+":"+m[1], strings.Replace(text, m[0], "", 1)
	}
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	return fmt.Errorf("%s: %s", name, text)
}
