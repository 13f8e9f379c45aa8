package httpfield

import (
	"cmp"
	"slices"
	"strings"
)

// maxPreferences bounds the members that are sorted. A longer list is compared member by member.
const maxPreferences = 64

// fullWeight is the weight of a member without one (RFC 9110 §12.4.2), in thousandths.
const fullWeight = 1000

// ArePreferences reports whether the lines of Accept or its like have members that every server
// understands: by the grammar, and in Accept of a registered type (RFC 6838 §4.2). An empty list
// counts in Accept-Encoding alone (RFC 9110 §12.5.3).
func ArePreferences(name string, values []string) bool {
	members, ok := Members(values)
	if !ok || len(members) > maxPreferences || len(members) == 0 && name != "Accept-Encoding" {
		return false
	}
	return !slices.ContainsFunc(members, func(member string) bool {
		p, ok := parsePreference(name, member)
		return !ok || name == "Accept" && !isMediaRange(p.what)
	})
}

// AcceptsCoding reports whether the lines of Accept-Encoding accept a content coding (RFC 9110
// §12.5.3). Without the field, or with one that is malformed, every coding is accepted. The first
// of two members of one name counts.
func AcceptsCoding(values []string, coding string) bool {
	members, ok := Members(values)
	if len(values) == 0 || !ok {
		return true
	}
	coding = codingName(strings.ToLower(coding))
	accepted, named := coding == "identity", false
	for _, member := range members {
		p, ok := parsePreference("Accept-Encoding", member)
		switch {
		case !ok:
			return true
		case p.what == coding && !named:
			accepted, named = p.weight > 0, true
		case p.what == "*" && !named:
			accepted = p.weight > 0
		}
	}
	return accepted
}

// isMediaRange reports whether a range in lower case is "*/*" or begins with a registered type.
func isMediaRange(what string) bool {
	main, sub, _ := strings.Cut(what, "/")
	switch main {
	case "*":
		return sub == "*" || strings.HasPrefix(sub, "*;")
	case "application", "audio", "chemical", "example", "font", "haptics", "image", "message",
		"model", "multipart", "text", "video":
		return true
	}
	return false
}

// A preference is one member of Accept, Accept-Charset, Accept-Encoding or Accept-Language.
type preference struct {
	what   string // lower case where case means nothing, without white space and weight
	weight int    // thousandths
}

func hasPreferences(name string) bool {
	switch name {
	case "Accept", "Accept-Charset", "Accept-Encoding", "Accept-Language":
		return true
	}
	return false
}

// preferences returns the normal form of the members of one of those fields: sorted by falling
// weight, with members of equal weight in the order sent, since many servers take the first of them
// (RFC 9110 §12.5.4). A member of weight 0 stays: it forbids (§12.4.2). Empty members are dropped
// (§5.6.1.2); without any other, the result is one empty value, which no preference is.
//
// ok is false if the field is not certain: a member is malformed, there are more than 64, or one
// name has two weights, and servers take the first, the last or the greatest. Members are then
// compared as they are. They never equal the normal form of a valid list, since they would be
// invalid there too.
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
		if slices.ContainsFunc(list, func(q preference) bool {
			return q.what == p.what && q.weight != p.weight
		}) {
			return nil, false
		}
		list = append(list, p)
	}
	if len(list) == 0 {
		return []string{""}, true
	}
	slices.SortStableFunc(list, func(a, b preference) int {
		return cmp.Compare(b.weight, a.weight)
	})
	out = make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
	}
	return out, true
}

// String is the member with its weight in one spelling: none for 1, and no trailing zeros.
func (p preference) String() string {
	if p.weight == fullWeight {
		return p.what
	}
	digits := [...]byte{'.', '0' + byte(p.weight/100), '0' + byte(p.weight/10%10),
		'0' + byte(p.weight%10)}
	return p.what + ";q=0" + strings.TrimRight(string(digits[:]), ".0")
}

// parsePreference reads a non-empty member. Case means nothing in language ranges (RFC 4647 §2),
// content codings (RFC 9110 §8.4.1), charsets (§8.3.2), and in the type, subtype and parameter
// names of media ranges (§8.3.1); parameter values keep theirs. ok is false for parameters that the
// field does not have, and for any after the weight: they were extensions in RFC 7231 (§5.3.2), and
// RFC 9110 §12.5.1 wants the weight last.
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

// cutParameter cuts s at its first semicolon outside quoted-strings, and trims white space around
// the part before it.
func cutParameter(s string) (first, rest string, ok bool) {
	end, ok := endOf(s, ';')
	if end < len(s) {
		rest = s[end+1:]
	}
	return TrimOWS(s[:end]), rest, ok
}

// isArgument reports whether s is a token or a quoted-string, as a parameter value must be (RFC
// 9110 §5.6.6).
func isArgument(s string) bool {
	if IsToken(s) {
		return true
	}
	_, ok := ParseQuoted(s)
	return ok
}

// codingName is the registered name of a content coding: x-compress and x-gzip are aliases (RFC
// 9110 §8.4.1.1, §8.4.1.3).
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
