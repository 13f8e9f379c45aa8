package jsonbody

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Bounds of a name in a path that is reported. A name beyond them looks like data.
const (
	maxName    = 40 // bytes
	maxDigits  = 4
	maxLetters = 24 // of one word
	maxSwitch  = 2  // from letters to digits
)

// fieldName is the form of the names of fields: "hp", "maxHp", "@type", "hydra:member".
var fieldName = regexp.MustCompile(`^[@$_]?[A-Za-z][A-Za-z0-9_.:$/-]*$`)

// isData reports whether a name looks like an id, an address, a secret or a title: some objects
// have those as names, and a log is to have none.
func isData(name string) bool {
	if len(name) > maxName || !fieldName.MatchString(name) {
		return true
	}
	digits, switches, letters, words := 0, 0, 0, 0
	for word := range wordsOf(name) {
		words++
		letters += len(word)
		if looksRandom(word) {
			return true
		}
	}
	for i, c := range name {
		if isDigit(c) {
			digits++
			if i > 0 && !isDigit(rune(name[i-1])) {
				switches++
			}
		}
	}
	const shortest = 2.7 // letters of a word of a name, on an average; by chance it has fewer
	return digits > maxDigits || switches > maxSwitch ||
		letters >= 10 && float64(letters) < shortest*float64(words)
}

func isDigit(c rune) bool { return '0' <= c && c <= '9' }

// wordsOf yields the runs of letters of a name, cut before each capital that follows a small one.
func wordsOf(name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		begin := 0
		for i := 0; i <= len(name); i++ {
			inWord := i < len(name) && unicode.IsLetter(rune(name[i]))
			hump := inWord && i > begin && unicode.IsUpper(rune(name[i])) &&
				unicode.IsLower(rune(name[i-1]))
			if inWord && !hump {
				continue
			}
			if i > begin && !yield(name[begin:i]) {
				return
			}
			if begin = i; !inWord {
				begin++
			}
		}
	}
}

// looksRandom reports whether letters are no word: hex, without vowels, or too many.
func looksRandom(word string) bool {
	const least = 8 // letters of hex, which "facade" is too
	word = strings.ToLower(word)
	return len(word) > maxLetters ||
		len(word) >= least && strings.Trim(word, "abcdef") == "" ||
		len(word) >= 6 && !strings.ContainsAny(word, "aeiouy")
}

// maxMembers is how many members an object with fields has. One with more is a map.
const maxMembers = 50

// A members is the kind of an object: of fields, whose names say what they hold, or a map, whose
// names are data themselves.
type members struct {
	isMap bool // no name is shown
	alike bool // all values are of one type, so a name that only one side has may be data
}

// kindOf looks at both sides of an object.
func kindOf(a, b map[string]any) (m members) {
	if max(len(a), len(b)) > maxMembers {
		return members{true, true}
	}
	types, odd, objects := map[string]bool{}, false, []map[string]any{}
	for _, side := range []map[string]any{a, b} {
		for name, value := range side {
			odd = odd || isData(name)
			if t := typeOf(value); t != "" {
				types[t] = true
			}
			if o, ok := value.(map[string]any); ok {
				objects = append(objects, o)
			}
		}
	}
	m.alike = len(types) < 2
	several := max(len(a), len(b)) > 1
	m.isMap = m.alike && (odd || several && len(objects) > 0 && areAlike(objects))
	return m
}

// typeOf is the JSON type of a value; "" for null, which any may be.
func typeOf(value any) string {
	switch value.(type) {
	case nil:
		return ""
	case map[string]any:
		return "object"
	case []any:
		return "list"
	case string:
		return "string"
	case bool:
		return "boolean"
	}
	return "number"
}

// areAlike reports whether objects have most of their names in common: so are the values of a map.
func areAlike(objects []map[string]any) bool {
	first := objects[0]
	return !slices.ContainsFunc(objects[1:], func(o map[string]any) bool {
		common := 0
		for name := range o {
			if _, ok := first[name]; ok {
				common++
			}
		}
		return 2*common < max(len(o), len(first), 1)
	})
}
