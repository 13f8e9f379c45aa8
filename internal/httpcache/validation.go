package httpcache

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"sidecar/internal/httpfield"
)

// validates reports whether the backend can be asked whether the response still holds (§4.3.1): it was successful, as others are not asked about (RFC 9110 §13.2.1),
// and says by what it is known.
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

// StrongTag is the response's ETag if it is a strong validator (RFC 9110 §8.8.1): one that changes whenever the content does. A weak one may be made of a time in
// seconds, and is not enough to say that something is as it was before a write.
func StrongTag(f httpfield.Fields) (line string, ok bool) {
	line, ok = EntityTag(f)
	return line, ok && !strings.HasPrefix(line, "W/")
}

// Ask puts into h, the fields of a request that is forwarded, the question whether the stored response still holds (§4.3.1), in the place of what the client
// asked. It reports whether there is anything to ask by. One that is dead, since what it depends on was written to, is asked about by a strong
// ETag alone: Last-Modified has steps of a second.
func Ask(h http.Header, s Stored, dead bool) bool {
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

// Confirms reports whether a 304 with these fields says that the stored response still holds (§4.3.4): it names that one's ETag, strongly if its own is
// strong; or if it names none, its Last-Modified; or nothing at all, and was an answer about this one alone.
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
	if modified := f.Values("Last-Modified"); len(modified) > 0 && len(s.Fields.Values("Last-Modified")) > 0 {
		return slices.Equal(modified, s.Fields.Values("Last-Modified"))
	}
	return alone
}

// Updated are the fields of a stored response after an answer that updates it (§3.2): each field of that answer stands in the place of the stored ones of its name.
// Those that describe the bytes of the content stay as they are, for the bytes do: its length, its coding, its range. So do those that are not stored at all.
func Updated(s Stored, update httpfield.Fields) http.Header {
	fields := http.Header{}
	for name, values := range s.Fields.All() {
		fields[name] = values
	}
	delete(fields, "Date")
	hop := httpfield.HopOf(update)
	for name, values := range update.All() {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range", "Trailer":
		default:
			if !hop.Has(name) {
				fields[name] = values
			}
		}
	}
	return fields
}

// Agrees reports whether the answer to a HEAD is about the stored response, whose body has size bytes (§4.3.5): each validator that it names is that one's, and so is its
// Content-Length. If not, the stored one is old. One that is dead needs a strong ETag to say so.
func Agrees(s Stored, size int64, f httpfield.Fields, dead bool) bool {
	for _, name := range [...]string{"Etag", "Last-Modified"} {
		if named := f.Values(name); len(named) > 0 && !slices.Equal(named, s.Fields.Values(name)) {
			return false
		}
	}
	if length := f.Values("Content-Length"); len(length) > 0 && (len(length) > 1 || length[0] != strconv.FormatInt(size, 10)) {
		return false
	}
	_, tagged := StrongTag(f)
	return tagged || !dead
}
