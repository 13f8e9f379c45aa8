package cachekeys

import (
	"strconv"
	"strings"
	"unicode"
)

// A Filter brings the value of a placeholder to one spelling.
type Filter int

// The filters, as templates spell them.
const (
	AsIs  Filter = iota
	Lower        // |lower: the backend ignores the case
	Int          // |int: the value is a whole number
	UUID         // |uuid: the value is a UUID
)

var filters = []struct {
	suffix string
	filter Filter
}{{"|lower", Lower}, {"|int", Int}, {"|uuid", UUID}}

// cutFilter takes the filter off a placeholder's text.
func cutFilter(expr string) (string, Filter) {
	for _, f := range filters {
		if rest, found := strings.CutSuffix(expr, f.suffix); found {
			return rest, f.filter
		}
	}
	return expr, AsIs
}

// String is the filter as templates spell it; "" for none.
func (f Filter) String() string { return [...]string{"", "|lower", "|int", "|uuid"}[f] }

// FilterFor is the filter that makes one spelling of values like this one; AsIs if there is none.
func FilterFor(value string) Filter {
	if _, ok := uuid(value); ok {
		return UUID
	}
	if _, ok := Int.apply(value); ok {
		return Int
	}
	return AsIs
}

// apply is the value in the filter's spelling. ok is false if it is none of those that the filter
// is for.
func (f Filter) apply(value string) (text string, ok bool) {
	switch f {
	case Lower:
		return strings.ToLower(value), true
	case Int:
		text, ok = number(value)
		return text, ok && !strings.Contains(text, ".")
	case UUID:
		return uuid(value)
	}
	return value, true
}

// spellings are the values of a placeholder in its filter's spelling. A value that reads like a
// number or a UUID and is in another spelling than the canonical one is odd: some backend may
// take it for the canonical one, which is added. ok is false if the filter is for none of such
// values.
func (p *Placeholder) spellings(values []string) (out []string, odd, ok bool) {
	for _, v := range values {
		v, ok := p.Filter.apply(v)
		if !ok {
			return nil, false, false
		}
		out = append(out, v)
		if p.Source == FromClaim || p.Source == FromCaller {
			continue
		}
		if text, read := canonical(v); read && text != v {
			out, odd = append(out, text), true
		}
	}
	return out, odd, true
}

// canonical is the spelling of a value that reads like a number or a UUID; read is false if it
// reads like neither.
func canonical(value string) (text string, read bool) {
	if text, read = number(value); read {
		return text, true
	}
	return uuid(value)
}

// maxNumber bounds the text of a number, in bytes.
const maxNumber = 100

// number reads a value as a lenient backend does: with white space and controls around it, a sign,
// zeros in front, digits of any script, underscores between digits, an exponent or a hexadecimal
// prefix, and with the suffix of a format behind it (5.json). Its text is the canonical decimal.
func number(value string) (text string, ok bool) {
	if len(value) > maxNumber {
		return "", false
	}
	value = asciiDigits(trimmed(value))
	value, negative := strings.CutPrefix(value, "-")
	if !negative {
		value = strings.TrimPrefix(value, "+")
	}
	if base := baseOf(value); base != 10 {
		n, err := strconv.ParseUint(value[2:], base, 64)
		return signed(strconv.FormatUint(n, 10), negative), err == nil
	}
	whole, rest := digits(value)
	if whole == "" {
		return "", false
	}
	fraction := ""
	if after, found := strings.CutPrefix(rest, "."); found {
		if fraction, rest = digits(after); fraction == "" && after != "" && !isFormat(after) {
			return "", false
		} else if fraction == "" {
			rest = ""
		}
	}
	switch {
	case rest == "", strings.HasPrefix(rest, ".") && isFormat(rest[1:]):
		return signed(decimal(whole, fraction), negative), true
	case rest[0] == 'e' || rest[0] == 'E':
		return exponential(whole, fraction, rest[1:], negative)
	}
	return "", false
}

// baseOf is the base that the prefix of a number names: 0x, 0o or 0b, in either case.
func baseOf(value string) int {
	if len(value) > 2 && value[0] == '0' {
		switch value[1] {
		case 'x', 'X':
			return 16
		case 'o', 'O':
			return 8
		case 'b', 'B':
			return 2
		}
	}
	return 10
}

// LeadingNumber is the whole number at the beginning of a value that goes on with something else:
// to a reader that stops there (parseInt, (int) of PHP, to_i of Ruby) 5-name and 5abc are 5.
func LeadingNumber(value string) (text string, ok bool) {
	if _, read := canonical(value); read || len(value) > maxNumber {
		return "", false
	}
	value = asciiDigits(trimmed(value))
	value, negative := strings.CutPrefix(value, "-")
	if !negative {
		value = strings.TrimPrefix(value, "+")
	}
	whole, _ := digits(value)
	if whole == "" {
		return "", false
	}
	return signed(decimal(whole, ""), negative), true
}

// exponential reads a number with an exponent, if a double holds it exactly.
func exponential(whole, fraction, exponent string, negative bool) (text string, ok bool) {
	value, err := strconv.ParseFloat(whole+"."+fraction+"e"+exponent, 64)
	if err != nil || len(exponent) > 4 || value >= 1<<53 {
		return "", false
	}
	whole, fraction, _ = strings.Cut(strconv.FormatFloat(value, 'f', -1, 64), ".")
	return signed(decimal(whole, fraction), negative), true
}

func decimal(whole, fraction string) string {
	whole = strings.TrimLeft(whole, "0")
	if whole == "" {
		whole = "0"
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		return whole + "." + fraction
	}
	return whole
}

func signed(text string, negative bool) string {
	if negative && text != "0" {
		return "-" + text
	}
	return text
}

// digits are the digits at the beginning of s, without underscores between them.
func digits(s string) (found, rest string) {
	end := 0
	for end < len(s) && (s[end] >= '0' && s[end] <= '9' || s[end] == '_' && end > 0) {
		end++
	}
	return strings.ReplaceAll(s[:end], "_", ""), s[end:]
}

// maxFormat is how long the suffix of a format is, at most.
const maxFormat = 5

func isFormat(s string) bool {
	return len(s) <= maxFormat && s != "" && !isASCIIDigit(rune(s[0])) &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && !isASCIIDigit(r)
		})
}

func isASCIIDigit(r rune) bool { return '0' <= r && r <= '9' }

// asciiDigits replaces the digits of other scripts by those of ASCII.
func asciiDigits(s string) string {
	return strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII || !unicode.IsDigit(r) {
			return r
		}
		return '0' + digitValue(r)
	}, s)
}

// digitValue is the value of a decimal digit. Unicode has those of a script in a row, from 0 to 9.
func digitValue(r rune) rune {
	for _, t := range unicode.Nd.R16 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return (r - rune(t.Lo)) % 10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return (r - rune(t.Lo)) % 10
		}
	}
	return 0
}

// trimmed is a value up to a NUL or ';', without white space and controls around it. The byte order
// mark is white space to JavaScript.
func trimmed(value string) string {
	if i := strings.IndexAny(value, "\x00;"); i >= 0 {
		value = value[:i]
	}
	return strings.TrimFunc(value,
		func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '\ufeff' })
}

// uuid reads a UUID in any spelling of RFC 9562 and of lenient readers: capitals, without
// hyphens, in braces, as a URN, with the suffix of a format, in digits of any script, with groups
// that lack zeros in front or have too many of them (Java). Its text is the canonical form.
func uuid(value string) (text string, ok bool) {
	if len(value) > maxNumber {
		return "", false
	}
	value = strings.ToLower(asciiDigits(trimmed(value)))
	if dot := strings.LastIndexByte(value, '.'); dot >= 0 && isFormat(value[dot+1:]) {
		value = value[:dot]
	}
	value = strings.TrimPrefix(value, "urn:")
	value = strings.TrimPrefix(value, "uuid:")
	value = strings.TrimRight(strings.TrimLeft(value, "{("), ")}")
	plain := strings.ReplaceAll(value, "-", "")
	if len(plain) != 32 || !isHex(plain) {
		plain, ok = groups(value)
		if !ok {
			return "", false
		}
	}
	return plain[:8] + "-" + plain[8:12] + "-" + plain[12:16] + "-" + plain[16:20] +
		"-" + plain[20:], true
}

// groups are the digits of a UUID whose groups between hyphens are of any length. The first has to
// have a letter or more than four digits, unlike a date.
func groups(value string) (hex string, ok bool) {
	widths := [...]int{8, 4, 4, 4, 12}
	list := strings.Split(value, "-")
	if len(list) != len(widths) || len(list[0]) <= 4 && strings.Trim(list[0], "0123456789") == "" {
		return "", false
	}
	for i, group := range list {
		if group == "" || !isHex(group) {
			return "", false
		}
		if group = strings.TrimLeft(group, "0"); len(group) > widths[i] {
			return "", false
		}
		hex += strings.Repeat("0", widths[i]-len(group)) + group
	}
	return hex, true
}

func isHex(s string) bool {
	return !strings.ContainsFunc(s,
		func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
}
