package httpfield

// IsPlainName reports whether a field name has only letters, digits and '-'. Servers that hand
// fields on as variables (CGI, WSGI, PHP) read any other byte as '-', so that two names become one.
func IsPlainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '-' && !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// Folded is the name in lower case, with '-' for each byte that is no letter and no digit: equal for
// all names that some server takes for the same.
func Folded(name string) string {
	folded := []byte(name)
	for i, c := range folded {
		switch {
		case 'A' <= c && c <= 'Z':
			folded[i] = c | 0x20
		case !isDigit(c) && (c < 'a' || c > 'z'):
			folded[i] = '-'
		}
	}
	return string(folded)
}
