package httpfield

import "github.com/dunglas/httpsfv"

// parseDictionary reads the Dictionary (RFC 9651 §3.2) in the field lines. ok is false if it is
// invalid, and so ignored (§4.2), or absent or empty, which is the same (§3.2). Of a repeated key
// the last counts.
func parseDictionary(values []string) (d *httpsfv.Dictionary, ok bool) {
	d, err := httpsfv.UnmarshalDictionary(values)
	return d, err == nil && len(d.Names()) > 0
}

// parseList reads the List (RFC 9651 §3.1) in the field lines. ok is false if it is invalid, and so
// ignored (§4.2). An absent one has no members.
func parseList(values []string) (l httpsfv.List, ok bool) {
	l, err := httpsfv.UnmarshalList(values)
	return l, err == nil
}

// stringOf returns the member's value if it is a String (RFC 9651 §3.3.3). Parameters are ignored.
func stringOf(m httpsfv.Member) (v string, ok bool) {
	item, _ := m.(httpsfv.Item)
	v, ok = item.Value.(string)
	return v, ok
}

// booleanOf returns the member's value if it is a Boolean (RFC 9651 §3.3.6). Parameters are
// ignored.
func booleanOf(m httpsfv.Member) (v, ok bool) {
	item, _ := m.(httpsfv.Item)
	v, ok = item.Value.(bool)
	return v, ok
}

// Incremental reports whether the field lines of Incremental ask for the message to be passed on
// as it comes (RFC 10036). A value that is no Boolean says nothing.
func Incremental(values []string) bool {
	if len(values) == 0 {
		return false
	}
	item, err := httpsfv.UnmarshalItem(values)
	return err == nil && item.Value == true
}
