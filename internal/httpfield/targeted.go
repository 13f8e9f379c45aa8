package httpfield

import (
	"strconv"

	"github.com/dunglas/httpsfv"
)

// TargetedCacheControl reads the field lines of a targeted field, such as CDN-Cache-Control (RFC
// 9213 §2.1). ok is false if the field is absent, empty or invalid: then it is ignored, and
// Cache-Control counts (§2.2).
//
// It is a Dictionary (RFC 9651 §3.2), stricter than Cache-Control: names are lower case, and one
// fault makes the whole field invalid. A directive with a value of the wrong type is ignored
// (§2.1), as are unknown directives (§2.2) and parameters (§2.1). The last of a repeated directive
// counts, of any type.
func TargetedCacheControl(values []string) (d Directives, ok bool) {
	dict, ok := parseDictionary(values)
	if !ok {
		return d, false
	}
	d.Present = true
	for _, name := range dict.Names() {
		member, _ := dict.Get(name)
		if item, isItem := member.(httpsfv.Item); isItem {
			d.applyTyped(name, item.Value)
		}
	}
	return d, true
}

// applyTyped applies a response directive if its value has the type of its argument (RFC 9213
// §2.1).
func (d *Directives) applyTyped(name string, value any) {
	switch name {
	case "max-age", "s-maxage", "stale-while-revalidate", "stale-if-error":
		if n, ok := value.(int64); ok && n >= 0 {
			d.apply(name, strconv.FormatInt(n, 10), true)
		}
	case "no-cache", "private":
		if names, ok := value.(string); ok {
			d.apply(name, names, true)
		}
		fallthrough
	case "no-store", "no-transform", "public", "must-revalidate", "proxy-revalidate",
		"must-understand", "immutable":
		if value == true {
			d.apply(name, "", false)
		}
	}
}
