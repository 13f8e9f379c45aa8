package httpfield

// IsPlainName reports whether a field name has only letters, digits and '-'. Servers that hand
// fields on as variables (CGI, WSGI, PHP) read other bytes as '-', so that two names become one.
func IsPlainName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c != '-' && !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z') {
			return false
		}
	}
	return true
}

// Hyphenated is the name in lower case, with '-' for each byte that is no letter and no digit:
// equal for all names that some server takes for the same.
func Hyphenated(name string) string {
	plain := []byte(name)
	for i, c := range plain {
		switch {
		case 'A' <= c && c <= 'Z':
			plain[i] = c | 0x20
		case !isDigit(c) && (c < 'a' || c > 'z'):
			plain[i] = '-'
		}
	}
	return string(plain)
}
