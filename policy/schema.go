package policy

import _ "embed"

// Schema is the JSON Schema of a policies file (draft 7), for editors. It says no to everything
// that the shape of a file can tell; Load says the rest.
//
//go:embed policies.schema.json
var Schema []byte
