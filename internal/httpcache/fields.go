package httpcache

import (
	"net/http"
	"slices"

	"sidecar/internal/httpfield"
)

// StorableFields are the fields of a response that are stored (§3.1), in a map of their own. Left
// out are
//
//   - what is for the next hop alone, Proxy-Authenticate and its kin among it, and what Connection names;
//   - what no-cache="…" names (§5.2.2.4), and for a shared cache what private="…" does (§5.2.2.7);
//   - Age, which is in Storing.InitialAge and computed anew for each use, and Trailer, as trailers are not stored;
//   - what strip matches: each a field name, or a prefix that ends in '*', in any case. But those that speak to this cache alone (RFC 9213) are stored, as what they
//     say is needed again; they are left out of answers.
//
// All others are stored as they came, Date among them.
func StorableFields(r Rules, f httpfield.Fields, strip []string) http.Header {
	hop := httpfield.HopOf(f)
	cc, _ := responseDirectives(r, f)
	fields := http.Header{}
	for name, values := range f.All() {
		switch {
		case name == "Age", name == "Trailer", hop.Has(name):
		case slices.Contains(cc.NoCacheFields, name):
		case r.Shared && slices.Contains(cc.PrivateFields, name):
		case httpfield.Names(strip).HasFold(name) && !slices.Contains(targetedFields[:], name):
		default:
			fields[name] = slices.Clone(values)
		}
	}
	return fields
}

// StrippedTargets are the targeted fields (RFC 9213) that strip matches.
func StrippedTargets(strip []string) (names []string) {
	for _, name := range targetedFields {
		if httpfield.Names(strip).HasFold(name) {
			names = append(names, name)
		}
	}
	return names
}
