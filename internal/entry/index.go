package entry

// An Index is what stands under a primary key whose variants lie under keys of their own.
type Index struct {
	// Vary are the names of the request fields by which the variants are told apart, canonical.
	Vary []string
	// Names are what the responses named, in whatever form the store gives them: what the next fill opens first. None is empty.
	Names []string
}

// Encode appends x in its stored form to dst.
func (x Index) Encode(dst []byte) []byte {
	begin := len(dst)
	dst = appendPreamble(dst, KindIndex)
	dst = appendNames(dst, x.Vary)
	dst = appendNames(dst, x.Names)
	return seal(dst, begin)
}

// DecodeIndex reads an index. ok is false for everything else, and for a damaged one.
func DecodeIndex(b []byte) (x Index, ok bool) {
	if KindOf(b) != KindIndex || !isWhole(b) {
		return Index{}, false
	}
	r := reader{rest: b[metaStart:]}
	x = Index{Vary: r.names(), Names: r.names()}
	if r.bad || len(r.rest) > 0 || !areTokens(x.Vary) {
		return Index{}, false
	}
	return x, true
}
