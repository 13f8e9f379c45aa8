package httpfield

import (
	"slices"
	"strings"
)

// Bounds of the surrogate keys of a response. RFC 9875 §2 wants at least 32 groups of 32
// characters.
const (
	maxGroups, maxGroupLen         = 64, 128
	maxSurrogates, maxSurrogateLen = 128, 256
)

// CacheGroups reads the field lines of Cache-Groups or Cache-Group-Invalidation (RFC 9875 §2, §3),
// a List of Strings. It returns each group once, in the order received. ok is false if the field is
// invalid and therefore ignored. Members that are not Strings, and parameters, are ignored (§2).
// Names are case-sensitive (§2.1).
//
// At most 64 groups of 128 characters are kept; overflow reports that some were dropped.
func CacheGroups(values []string) (groups []string, ok, overflow bool) {
	list, ok := parseList(values)
	if !ok {
		return nil, false, false
	}
	set := nameSet{max: maxGroups, maxLen: maxGroupLen}
	for _, member := range list {
		if group, isString := stringOf(member); isString {
			set.add(group)
		}
	}
	return set.names, true, set.overflow
}

// SurrogateKeys returns the surrogate keys of a response in the fields older than RFC 9875:
// Surrogate-Key and xkey (separated by spaces), then Cache-Tag (by commas), each key once. These
// fields cannot be invalid: every byte but the separators may be part of a name.
//
// At most 128 names of 256 bytes are kept; overflow reports that some were dropped.
func SurrogateKeys(f Fields) (names []string, overflow bool) {
	set := nameSet{max: maxSurrogates, maxLen: maxSurrogateLen}
	for _, field := range [...]string{"Surrogate-Key", "Xkey"} {
		for _, line := range f.Values(field) {
			for name := range strings.FieldsFuncSeq(line,
				func(r rune) bool { return r == ' ' || r == '\t' }) {
				set.add(name)
			}
		}
	}
	for _, line := range f.Values("Cache-Tag") {
		for name := range strings.SplitSeq(line, ",") {
			if name = TrimOWS(name); name != "" {
				set.add(name)
			}
		}
	}
	return set.names, set.overflow
}

// A nameSet keeps distinct names in the order of arrival: up to max names of at most maxLen bytes.
type nameSet struct {
	names       []string
	max, maxLen int
	overflow    bool // some name was dropped
}

func (s *nameSet) add(name string) {
	switch {
	case len(name) > s.maxLen:
		s.overflow = true
	case slices.Contains(s.names, name):
	case len(s.names) == s.max:
		s.overflow = true
	default:
		s.names = append(s.names, name)
	}
}
