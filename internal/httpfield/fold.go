package httpfield

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Fold is a name in the form in which servers compare names that ignore case: two names that some
// server takes for one have one fold. It goes further than the fold of any one server.
func Fold(name string) string { return strings.Map(foldRune, name) }

// IsFolded reports whether folding changes nothing in a name, for certain.
func IsFolded(name string) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// foldRune is one of the characters that some parser takes for r when it ignores case:
// encoding/json takes 'ſ' for 's' and 'K' (the Kelvin sign) for 'k', others 'ı' and 'İ' for 'i'.
func foldRune(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	start := unicode.ToLower(unicode.ToUpper(r))
	least := start
	for f := unicode.SimpleFold(start); f != start; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}
