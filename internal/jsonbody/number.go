package jsonbody

import (
	"math"
	"strconv"
	"strings"
)

// maxNumber bounds a number's text in bytes; no double needs as many digits.
const maxNumber = 800

// number is the one spelling of a number's value: 5, 5.0 and 50e-1 are "5". ok is false for a
// number that a double does not hold, since parsers disagree about it (9007199254740993, 1e400),
// and for the zero with a sign.
func number(raw string) (text string, ok bool) {
	if len(raw) > maxNumber {
		return "", false
	}
	value, err := strconv.ParseFloat(raw, 64)
	if err != nil || value == 0 && math.Signbit(value) {
		return "", false
	}
	text = strconv.FormatFloat(value, 'f', -1, 64)
	return text, decimal(raw) == decimal(text)
}

// An exact is a number's value: digits without zeros around them, and a power of ten.
type exact struct {
	negative bool
	digits   string
	exponent int
}

// decimal reads a valid JSON number.
func decimal(raw string) exact {
	raw, negative := strings.CutPrefix(raw, "-")
	mantissa, power, _ := strings.Cut(strings.ToLower(raw), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(digits, "0")
	if trimmed == "" {
		return exact{}
	}
	exponent, _ := strconv.Atoi(power) // "" is 0; ParseFloat has accepted the rest
	return exact{negative, trimmed, exponent - len(fraction) + len(digits) - len(trimmed)}
}
