package policy

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/tidwall/gjson"

	"sidecar/cachekeys"
	"sidecar/internal/caller"
	"sidecar/internal/httpfield"
)

// requestValues fills placeholders from a request and, where there is one, its answer.
type requestValues struct {
	path              map[string]string
	query             cachekeys.Query
	fields            httpfield.Fields
	caller            caller.Caller
	request, response document
}

// Value implements cachekeys.Values.
func (v requestValues) Value(p cachekeys.Placeholder) ([]string, bool) {
	switch p.Source {
	case cachekeys.FromPath:
		return one(v.path[p.Name], v.path[p.Name] != "")
	case cachekeys.FromQuery:
		return one(v.query.Get(p.Name))
	case cachekeys.FromHeader:
		values := v.fields.Values(canonicalPattern(p.Name))
		if len(values) != 1 {
			return nil, false
		}
		return one(strings.TrimSpace(values[0]), true)
	case cachekeys.FromClaim:
		return v.caller.Claim(p.Name)
	case cachekeys.FromCaller:
		return one(v.caller.ID, v.caller.ID != "" && v.caller.Bypass == "")
	case cachekeys.FromRequestBody:
		return v.request.value(p.Name)
	case cachekeys.FromResponseBody:
		return v.response.value(p.Name)
	}
	return nil, false
}

func one(value string, ok bool) ([]string, bool) { return []string{value}, ok && value != "" }

// A document is a JSON body in which paths can be looked up.
type document struct {
	body  Body
	limit int64 // of what a coding may yield, in bytes
}

// value looks a path up. ok is false unless the body is there to its end, can be decoded, and is JSON that every parser reads alike.
func (d document) value(path string) ([]string, bool) {
	if !d.body.Complete {
		return nil, false
	}
	content, ok := d.decoded()
	if !ok || !certainJSON(content) {
		return nil, false
	}
	found := gjson.GetBytes(content, path)
	if !found.Exists() {
		return nil, false
	}
	elements := []gjson.Result{found}
	if found.IsArray() {
		elements = found.Array()
	}
	values := []string{}
	for _, e := range elements {
		switch e.Type {
		case gjson.String:
			values = append(values, e.Str)
		case gjson.Number, gjson.True, gjson.False:
			values = append(values, e.Raw)
		default: // null, or something with parts
			return nil, false
		}
	}
	return values, true
}

// decoded is the content without its coding (RFC 9110 §8.4), of which gzip and zstd can be read.
func (d document) decoded() ([]byte, bool) {
	var r io.Reader
	switch strings.ToLower(strings.TrimSpace(d.body.Coding)) {
	case "", "identity":
		return d.body.Content, true
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bytes.NewReader(d.body.Content))
		if err != nil {
			return nil, false
		}
		r = z
	case "zstd":
		z, err := zstd.NewReader(bytes.NewReader(d.body.Content), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(max(d.limit, 1<<20))))
		if err != nil {
			return nil, false
		}
		defer z.Close()
		r = z
	default:
		return nil, false
	}
	content, err := io.ReadAll(io.LimitReader(r, d.limit+1))
	return content, err == nil && int64(len(content)) <= d.limit
}

// maxDepth bounds how deeply a document may be nested.
const maxDepth = 1000

// certainJSON reports whether content is one JSON text in which no object has two names that some parser takes for the same: of two
// equal names one parser takes the first and another the last, and some compare them without regard to case.
func certainJSON(content []byte) bool {
	if !json.Valid(content) {
		return false
	}
	d := json.NewDecoder(bytes.NewReader(content))
	d.UseNumber()
	var open []map[string]bool // a set of names for each object, nil for an array
	var isName []bool
	for {
		t, err := d.Token()
		if err == io.EOF {
			return true
		}
		if err != nil || len(open) > maxDepth {
			return false
		}
		top := len(open) - 1
		switch t := t.(type) {
		case json.Delim:
			switch t {
			case '{':
				open, isName = append(open, map[string]bool{}), append(isName, true)
			case '[':
				open, isName = append(open, nil), append(isName, false)
			default:
				open, isName = open[:top], isName[:top]
				valueEnded(open, isName)
			}
			continue
		case string:
			if top >= 0 && open[top] != nil && isName[top] {
				name := strings.ToLower(t)
				if open[top][name] {
					return false
				}
				open[top][name], isName[top] = true, false
				continue
			}
		}
		valueEnded(open, isName)
	}
}

// valueEnded notes that what follows in an object is a name.
func valueEnded(open []map[string]bool, isName []bool) {
	if top := len(open) - 1; top >= 0 && open[top] != nil {
		isName[top] = true
	}
}
