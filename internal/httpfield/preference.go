package httpfield

import (
	"cmp"
	"slices"
	"strings"
)

// maxPreferences is how many members of a list are put in order. No client needs more; one that sends more is compared member
// by member.
const maxPreferences = 64

// fullWeight is the weight of a member that gives none (RFC 9110 §12.4.2), in thousandths.
const fullWeight = 1000

// A preference is one member of Accept, Accept-Charset, Accept-Encoding or Accept-Language.
type preference struct {
	what   string // in lower case where case means nothing, without white space and weight
	weight int    // thousandths
}

func hasPreferences(name string) bool {
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language":
		return true
	}
	return false
}

// preferences brings the members of one of those fields to the form in which two requests are compared: in the order of
// falling weight, and members of equal weight in the order sent, since many a server takes the first of them (RFC 9110 §12.5.4).
// A member of weight 0 stays: it forbids (§12.4.2). Empty members do not count (§5.6.1.2); where there are no others, the
// result is one empty value, which no preference is.
//
// ok is false if the field cannot be read for certain: a member is not of the grammar's form, there are more than 64, or one
// thing is given two weights, of which servers take the first, the last or the greatest. Members are then compared as they
// are, and meet no list that can be read: that list, read again, would be faulty too.
func preferences(name string, members []string) (out []string, ok bool) {
	var room [16]preference
	list := room[:0]
	for _, member := range members {
		if member == "" {
			continue
		}
		p, ok := parsePreference(name, member)
		if !ok || len(list) == maxPreferences {
			return nil, false
		}
		if slices.ContainsFunc(list, func(q preference) bool { return q.what == p.what && q.weight != p.weight }) {
			return nil, false
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return []string{""}, true
	}
	slices.SortStableFunc(list, func(a, b preference) int { return cmp.Compare(b.weight, a.weight) })
	out = make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
	}
	return out, true
}

// String is the member with its weight written in one way: none for 1, and no zeros at the end.
func (p preference) String() string {
	if p.weight == fullWeight {
		return p.what
	}
	digits := [...]byte{'.', '0' + byte(p.weight/100), '0' + byte(p.weight/10%10), '0' + byte(p.weight%10)}
	return p.what + ";q=0" + strings.TrimRight(string(digits[:]), ".0")
}

// parsePreference reads a member that is not empty. Case means nothing in language ranges (RFC 4647 §2), content codings
// (RFC 9110 §8.4.1), charsets (§8.3.2), and in the type, subtype and names of parameters of media ranges (§8.3.1). The values of
// those stay as they are. ok is false for parameters that a field does not have, and for any after the weight: they were
// extensions of their own in RFC 7231 (§5.3.2), and §12.5.1 of RFC 9110 wants the weight last.
func parsePreference(name, member string) (p preference, ok bool) {
	what, rest, ok := cutParameter(member)
	if !ok {
		return p, false
	}
	p = preference{what: strings.ToLower(what), weight: fullWeight}
	if name == "Accept" {
		main, sub, _ := strings.Cut(what, "/")
		ok = IsToken(main) && IsToken(sub)
	} else {
		ok = IsToken(what)
	}
	if name == "Accept-Encoding" {
		p.what = codingName(p.what)
	}
	weighed := false
	for ok && rest != "" {
		var parameter string
		if parameter, rest, ok = cutParameter(rest); !ok || weighed {
			return p, false
		}
		key, value, _ := strings.Cut(parameter, "=")
		switch {
		case parameter == "": // "a;;q=1" (§5.6.6)
		case key == "q" || key == "Q":
			p.weight, ok = parseWeight(value)
			weighed = true
		case name == "Accept":
			p.what += ";" + strings.ToLower(key) + "=" + value
			ok = IsToken(key) && isArgument(value)
		default:
			ok = false
		}
	}
	return p, ok
}

// cutParameter cuts s at its first semicolon outside quoted-strings, and trims white space around what stands before it.
func cutParameter(s string) (first, rest string, ok bool) {
	end, ok := endOf(s, ';')
	if end < len(s) {
		rest = s[end+1:]
	}
	return trimOWS(s[:end]), rest, ok
}

// isArgument reports whether s is a token or a quoted-string, as the value of a parameter is (RFC 9110 §5.6.6).
func isArgument(s string) bool {
	if IsToken(s) {
		return true
	}
	_, ok := ParseQuoted(s)
	return ok
}

// codingName is the registered name of a content coding: x-compress and x-gzip are others for the same (RFC 9110 §8.4.1.1, §8.4.1.3).
func codingName(coding string) string {
	switch coding {
	case "x-compress", "x-gzip":
		return coding[len("x-"):]
	}
	return coding
}

// parseWeight reads a qvalue (RFC 9110 §12.4.2): 0 to 1 with up to three decimals, in thousandths.
func parseWeight(s string) (thousandths int, ok bool) {
	if s == "" || len(s) > len("0.000") || s[0] != '0' && s[0] != '1' || len(s) > 1 && s[1] != '.' {
		return 0, false
	}
	thousandths = int(s[0]-'0') * fullWeight
	for i, unit := 2, 100; i < len(s); i, unit = i+1, unit/10 {
		if !isDigit(s[i]) {
			return 0, false
		}
		thousandths += int(s[i]-'0') * unit
	}
	return thousandths, thousandths <= fullWeight
}
