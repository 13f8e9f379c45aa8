package yamldoc

import "fmt"

// Bounds of a document, checked before anything is built of it: the parser takes a time and a room
// that grow with the square of the depth, and of the number of keys in one mapping.
const (
	MaxSize     = 1 << 20 // bytes
	maxDepth    = 100     // of lists and mappings in one another
	maxKeys     = 2_000   // of one mapping in block style, in lines
	maxNodes    = 100_000 // separators: there are hardly more values
	maxAliases  = 100     // places where an anchor is used
	maxReads    = 200_000 // values that are read, those behind aliases each time
	maxFindings = 100     // faults, and smells, of which the first are told
)

// A bounded is a pass over the bytes of a document. It knows quotes and comments as far as they can
// be told without a parser, and counts rather too much.
type bounded struct {
	content []byte
	at      int
	line    int
	indents []int // of the block collections that are open
	keys    []int // lines of each that are no list items
	crowded bool  // one had more than maxKeys
	flow    int   // brackets that are open
	inline  int   // ": " of this line outside brackets: each nests the value that follows it
	nodes   int
	aliases int
	quote   byte // the quote that is open, or 0
	last    byte // the last byte that is no white space
}

// beyond says which bound the content exceeds, and in which line; "" if it exceeds none.
func beyond(content []byte) (why string, line int) {
	if len(content) > MaxSize {
		return fmt.Sprintf("the file is longer than %d KiB", MaxSize>>10), 1
	}
	b := bounded{content: content, line: 1}
	b.beginLine()
	for {
		// A line of "- " and "? " alone is read at once, up to the end.
		switch {
		case b.flow+len(b.indents)+b.inline > maxDepth:
			return fmt.Sprintf("lists and mappings are nested more than %d deep", maxDepth), b.line
		case b.crowded:
			return fmt.Sprintf("a mapping has more than %d keys", maxKeys), b.line
		case b.nodes > maxNodes:
			return fmt.Sprintf("the file has more than %d values", maxNodes), b.line
		case b.aliases > maxAliases:
			return fmt.Sprintf("the file has more than %d aliases", maxAliases), b.line
		case b.at >= len(content):
			return "", 0
		}
		b.next(content[b.at])
	}
}

// next reads one byte.
func (b *bounded) next(c byte) {
	b.at++
	switch {
	case c == '\n':
		b.line++
		b.nodes++
		b.inline = 0
		b.beginLine()
		return
	case b.quote != 0:
		if c == '\\' && b.quote == '"' {
			b.at++
		} else if c == b.quote {
			b.quote = 0
		}
	case (c == '"' || c == '\'') && b.beginsValue():
		b.quote = c
	case c == '#' && (b.at < 2 || isBlank(b.content[b.at-2])):
		b.skipLine()
		return
	case c == '[', c == '{':
		b.flow++
		b.nodes++
	case c == ']', c == '}':
		b.flow = max(0, b.flow-1)
	case c == ',', c == ':':
		b.nodes++
		if c == ':' && b.flow == 0 && b.at < len(b.content) && isBlank(b.content[b.at]) {
			b.inline++
		}
	case c == '*' && b.beginsValue():
		b.aliases++
	}
	if !isBlank(c) {
		b.last = c
	}
}

// beginsValue reports whether a value may begin at the byte that was read.
func (b *bounded) beginsValue() bool {
	before := byte('\n')
	if b.at >= 2 {
		before = b.content[b.at-2]
	}
	switch {
	case before == '[', before == '{', before == ',':
		return true
	case !isBlank(before) && before != '\n':
		return false
	}
	switch b.last {
	case 0, ':', '-', '?', '[', '{', ',', '!', '&':
		return true
	}
	return b.flow == 0 && before == '\n'
}

// beginLine notes the indentation of a line, and each "- " and "? " at its beginning as one more
// collection.
func (b *bounded) beginLine() {
	column, begin := 0, b.at
	for b.at < len(b.content) {
		switch c := b.content[b.at]; {
		case c == ' ', c == '\t':
		case (c == '-' || c == '?') && b.at+1 < len(b.content) && isBlank(b.content[b.at+1]):
			b.open(column)
			b.nodes++
		default:
			if c != '\n' && c != '\r' && c != '#' {
				b.open(column)
				b.countKey()
			}
			b.last = 0
			return
		}
		b.at++
		column = b.at - begin
	}
}

// open notes a collection at a column, which ends those to its right.
func (b *bounded) open(column int) {
	if b.flow > 0 || b.quote != 0 {
		return // indentation means nothing there
	}
	keys := 0
	for len(b.indents) > 0 && b.indents[len(b.indents)-1] >= column {
		last := len(b.indents) - 1
		if b.indents[last] == column {
			keys = b.keys[last]
		}
		b.indents, b.keys = b.indents[:last], b.keys[:last]
	}
	b.indents, b.keys = append(b.indents, column), append(b.keys, keys)
}

// countKey counts a line of the innermost block collection.
func (b *bounded) countKey() {
	if b.flow > 0 || b.quote != 0 {
		return
	}
	last := len(b.keys) - 1
	b.keys[last]++
	b.crowded = b.crowded || b.keys[last] > maxKeys
}

func (b *bounded) skipLine() {
	for b.at < len(b.content) && b.content[b.at] != '\n' {
		b.at++
	}
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
