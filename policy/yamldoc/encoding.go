package yamldoc

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// byteOrderMark begins files of some editors. YAML 1.2 §5.2 allows it.
var byteOrderMark = []byte("\xef\xbb\xbf")

// encodingFault says why content is no text that YAML can be written in; "" if it is.
func encodingFault(content []byte) (at Place, why string) {
	if bytes.HasPrefix(content, []byte{0xff, 0xfe}) ||
		bytes.HasPrefix(content, []byte{0xfe, 0xff}) {
		return Place{1, 1}, "the file is in UTF-16: save it as UTF-8"
	}
	at = Place{1, 1}
	for i := 0; i < len(content); {
		c, size := utf8.DecodeRune(content[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			return at, fmt.Sprintf("the byte 0x%02x is not UTF-8: save the file as UTF-8",
				content[i])
		case c < ' ' && c != '\n' && c != '\r' && c != '\t':
			return at, fmt.Sprintf("the control character %U, which YAML forbids: take it out", c)
		case c == '\n':
			at = Place{at.Line + 1, 0}
		}
		at.Column++
		i += size
	}
	return Place{}, ""
}
