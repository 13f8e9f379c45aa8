package openapi

import (
	"net/url"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A Document is the part of an OpenAPI document on which policies depend.
type Document struct {
	version  string
	servers  []string // their base paths; one that cannot be told has braces
	security security
	paths    map[string]*pathItem
	schemes  []scheme
}

type pathItem struct {
	operations map[string]*operationItem // by method
	parameters []parameter
	servers    bool // it has its own
}

type operationItem struct {
	line        int
	security    security
	parameters  []parameter
	requestBody bool
	servers     bool
	responses   map[string]response // by status; nil if there is no word of them
}

// security are the credentials of an operation, or of the document.
type security struct {
	given    bool
	none     bool // the list is empty
	optional bool // one of the choices is empty
}

type parameter struct{ name, in, kind, format string }

type response struct {
	content   []string // media types
	setCookie bool
}

// A scheme is a key of an API: its place and name.
type scheme struct{ in, name string }

// document reads all that is in a Document.
func (r *tree) document() *Document {
	d := &Document{paths: map[string]*pathItem{}}
	if root := r.value(r.root); root == nil {
		return d
	}
	for key, value := range r.members(r.root, "an OpenAPI document") {
		switch key.Value {
		case "openapi":
			d.version = r.text(value, key.Value)
		case "servers":
			for _, server := range r.items(value, key.Value) {
				d.servers = append(d.servers, r.basePath(server))
			}
		case "security":
			d.security = r.security(value)
		case "paths":
			for path, item := range r.members(value, key.Value) {
				if !strings.HasPrefix(path.Value, "x-") {
					d.paths[path.Value] = r.pathItem(item)
				}
			}
		case "components":
			d.schemes = r.schemes(value)
		}
	}
	return d
}

// basePath is the path of a server's URL, with the defaults of its variables.
func (r *tree) basePath(server *yaml.Node) string {
	var address string
	defaults := map[string]string{}
	for key, value := range r.members(server, "a server") {
		switch key.Value {
		case "url":
			address = r.text(value, key.Value)
		case "variables":
			for name, variable := range r.members(value, key.Value) {
				for field, value := range r.members(variable, name.Value) {
					if field.Value == "default" {
						defaults["{"+name.Value+"}"] = r.text(value, field.Value)
					}
				}
			}
		}
	}
	for name, value := range defaults {
		address = strings.ReplaceAll(address, name, value)
	}
	u, err := url.Parse(address)
	if err != nil || u.Path != "" && u.Path[0] != '/' {
		return "{}"
	}
	return u.Path
}

func (r *tree) pathItem(n *yaml.Node) *pathItem {
	item := &pathItem{operations: map[string]*operationItem{}}
	for key, value := range r.members(n, "a path") {
		switch name := strings.ToUpper(key.Value); {
		case key.Value == "parameters":
			item.parameters = r.parameters(value)
		case key.Value == "servers":
			item.servers = len(r.items(value, key.Value)) > 0
		case slices.Contains(methods, name) && r.value(value) != nil:
			item.operations[name] = r.operation(key.Line, value)
		}
	}
	return item
}

func (r *tree) operation(line int, n *yaml.Node) *operationItem {
	o := &operationItem{line: line}
	for key, value := range r.members(n, "an operation") {
		switch key.Value {
		case "security":
			o.security = r.security(value)
		case "parameters":
			o.parameters = r.parameters(value)
		case "requestBody":
			o.requestBody = r.value(value) != nil
		case "servers":
			o.servers = r.value(value) != nil
		case "responses":
			o.responses = map[string]response{}
			for status, value := range r.members(value, key.Value) {
				if !strings.HasPrefix(status.Value, "x-") {
					o.responses[status.Value] = r.response(value)
				}
			}
		}
	}
	return o
}

func (r *tree) security(n *yaml.Node) (s security) {
	if s.given = r.value(n) != nil; !s.given {
		return s
	}
	choices := r.items(n, "security")
	s.none = len(choices) == 0
	for _, choice := range choices {
		schemes := 0
		for range r.members(choice, "security") {
			schemes++
		}
		s.optional = s.optional || schemes == 0
	}
	return s
}

func (r *tree) parameters(n *yaml.Node) (all []parameter) {
	for _, one := range r.items(n, "parameters") {
		var p parameter
		for key, value := range r.members(one, "a parameter") {
			switch key.Value {
			case "name":
				p.name = r.text(value, key.Value)
			case "in":
				p.in = r.text(value, key.Value)
			case "schema":
				p.kind, p.format = r.schema(value)
			}
		}
		all = append(all, p)
	}
	return all
}

// schema returns the one type of a schema, and its format.
func (r *tree) schema(n *yaml.Node) (kind, format string) {
	if n = r.value(n); n == nil || n.Kind != yaml.MappingNode { // 3.1 has true and false too
		return "", ""
	}
	for key, value := range r.members(n, "a schema") {
		switch key.Value {
		case "type":
			if value = r.value(value); value == nil || value.Kind != yaml.SequenceNode {
				kind = r.text(value, key.Value)
			} else if len(value.Content) == 1 {
				kind = r.text(value.Content[0], key.Value)
			}
		case "format":
			format = r.text(value, key.Value)
		}
	}
	return kind, format
}

func (r *tree) response(n *yaml.Node) (answer response) {
	for key, value := range r.members(n, "a response") {
		switch key.Value {
		case "content":
			for kind := range r.members(value, key.Value) {
				answer.content = append(answer.content, kind.Value)
			}
		case "headers":
			for name := range r.members(value, key.Value) {
				answer.setCookie = answer.setCookie || strings.EqualFold(name.Value, "Set-Cookie")
			}
		}
	}
	return answer
}

// schemes are the keys of the API that are sent in fields or in the query.
func (r *tree) schemes(components *yaml.Node) (all []scheme) {
	for key, value := range r.members(components, "components") {
		if key.Value != "securitySchemes" {
			continue
		}
		for _, one := range r.members(value, key.Value) {
			var s scheme
			var kind string
			for key, value := range r.members(one, "a security scheme") {
				switch key.Value {
				case "type":
					kind = r.text(value, key.Value)
				case "in":
					s.in = r.text(value, key.Value)
				case "name":
					s.name = r.text(value, key.Value)
				}
			}
			if kind == "apiKey" {
				all = append(all, s)
			}
		}
	}
	return all
}
