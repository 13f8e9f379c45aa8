package httpcache

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sidecar/internal/httpfield"
)

// validates reports whether the response can be validated (§4.3.1): it was successful (RFC 9110
// §13.2.1), and has a validator.
func validates(resp Response) bool {
	if resp.Status < 200 || resp.Status > 299 {
		return false
	}
	_, tagged := EntityTag(resp.Fields)
	_, dated := onlyDate(resp.Fields, "Last-Modified", resp.ResponseTime)
	return tagged || dated
}

// EntityTag is the response's one ETag, as it came. ok is false if it has none that can be read.
func EntityTag(f httpfield.Fields) (line string, ok bool) {
	lines := f.Values("Etag")
	if len(lines) != 1 {
		return "", false
	}
	_, ok = httpfield.ParseETag(lines[0])
	return lines[0], ok
}

// StrongTag is the response's ETag if it is a strong validator (RFC 9110 §8.8.1): one that
// changes whenever the content does. A weak one may be made of a time in seconds, and is not
// enough to say that something is as it was before a write.
func StrongTag(f httpfield.Fields) (line string, ok bool) {
	line, ok = EntityTag(f)
	return line, ok && !strings.HasPrefix(line, "W/")
}

// SetValidators makes h, the fields of a request that is forwarded, a conditional request by the
// validators of the stored response (§4.3.1). It reports whether there are any. A dead one, whose
// tags were written to since, is validated by a strong ETag alone: Last-Modified has steps of a
// second.
func SetValidators(h http.Header, s Stored, dead bool) bool {
	tag, tagged := EntityTag(s.Fields)
	if dead {
		tag, tagged = StrongTag(s.Fields)
	}
	if tagged {
		h["If-None-Match"] = []string{tag}
	}
	_, dated := onlyDate(s.Fields, "Last-Modified", s.ResponseTime)
	if dated && !dead {
		h["If-Modified-Since"] = s.Fields.Values("Last-Modified")
	}
	return tagged || dated && !dead
}

// Confirms reports whether a 304 with these fields says that the stored response still holds
// (§4.3.4): it names that one's ETag, strongly if its own is strong; or if it names none, its
// Last-Modified; or nothing at all, and was an answer about this one alone.
func Confirms(s Stored, f httpfield.Fields, alone bool) bool {
	if lines := f.Values("Etag"); len(lines) > 0 {
		now, ok := httpfield.ParseETag(lines[0])
		was, tagged := EntityTag(s.Fields)
		stored, _ := httpfield.ParseETag(was)
		if !ok || len(lines) > 1 || !tagged {
			return false
		}
		return now.StrongMatch(stored) || now.Weak && now.WeakMatch(stored)
	}
	if modified := f.Values("Last-Modified"); len(modified) > 0 &&
		len(s.Fields.Values("Last-Modified")) > 0 {
		return slices.Equal(modified, s.Fields.Values("Last-Modified"))
	}
	return alone
}

// ConfirmsDead is Confirms for a response that was written to since: an ETag has to be the same
// strong one.
func ConfirmsDead(s Stored, f httpfield.Fields, alone bool) bool {
	_, strong := StrongTag(f)
	return Confirms(s, f, alone) && (strong || len(f.Values("Etag")) == 0)
}

// Updated are the fields of a stored response after an answer that updates it (§3.2): each field
// of that answer stands in the place of the stored ones of its name. Those that describe the
// bytes of the content stay as they are, for the bytes do: its length, its coding, its range, its
// digest. So do those that are not stored at all. Vary is united: a 304 that names less of it than
// the response that it confirms has forgotten the rest (RFC 9110 §15.4.5).
func Updated(s Stored, update httpfield.Fields) http.Header {
	fields := http.Header{}
	for name, values := range s.Fields.All() {
		fields[name] = values
	}
	delete(fields, "Date")
	hop := httpfield.HopOf(update)
	for name, values := range update.All() {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range", "Content-Digest",
			"Content-Md5", "Trailer":
		case "Vary":
			fields[name] = unitedVary(s.Fields.Values(name), values)
		default:
			if !hop.Has(name) {
				fields[name] = values
			}
		}
	}
	return fields
}

// unitedVary has the lines of update, and one more with the names that only the stored lines have.
// Where one of them cannot be read the response is selected by nothing, as by "*".
func unitedVary(stored, update []string) []string {
	names, ok := httpfield.FieldNames(stored)
	said, sure := httpfield.FieldNames(update)
	if !ok || !sure {
		return []string{"*"}
	}
	forgotten := slices.DeleteFunc(names,
		func(name string) bool { return slices.Contains(said, name) })
	if len(forgotten) == 0 {
		return update
	}
	return append(slices.Clone(update), strings.Join(forgotten, ", "))
}

// An Agreement is the relation of an answer to HEAD and a stored response.
type Agreement int

// The agreements.
const (
	Silent Agreement = iota // nothing for certain
	Same                    // it is the same still
	Other                   // it is old
)

// Agrees compares the answer to a HEAD with the stored response, whose body has size bytes
// (§4.3.5). That one is old if a validator or Content-Length is not its own, and the same if one of
// them says so at the least; of one that is dead, a strong ETag. An answer that names none of them
// could be about anything: to update by it would keep an old body fresh for as long as somebody
// asks.
func Agrees(s Stored, size int64, f httpfield.Fields, dead bool) Agreement {
	named := 0
	for _, name := range [...]string{"Etag", "Last-Modified"} {
		switch values := f.Values(name); {
		case len(values) == 0:
		case !slices.Equal(values, s.Fields.Values(name)):
			return Other
		default:
			named++
		}
	}
	switch length := f.Values("Content-Length"); {
	case len(length) == 0:
	case len(length) > 1 || length[0] != strconv.FormatInt(size, 10):
		return Other
	default:
		named++
	}
	if _, tagged := StrongTag(f); named == 0 || dead && !tagged {
		return Silent
	}
	return Same
}
