package httpcache

import (
	"net/http"

	"sidecar/internal/httpfield"
)

// MaySupersede reports whether a response of this status may replace any entry under its key. For
// an error and a part that depends, see Supersedes.
func MaySupersede(status int) bool { return status < 400 && status != http.StatusPartialContent }

// Supersedes reports whether a response may be stored in the place of a fresh one that is held: no
// error in the place of a success, since it may be about its request alone; and a part in the place
// of the whole only if strong ETags say that the representation has changed.
func Supersedes(status int, fields httpfield.Fields, held int, heldFields httpfield.Fields) bool {
	switch {
	case held >= 400:
		return true
	case status >= 400:
		return false
	case status == http.StatusPartialContent && held != http.StatusPartialContent:
		was, tagged := StrongTag(heldFields)
		now, nowTagged := StrongTag(fields)
		return tagged && nowTagged && was != now
	}
	return true
}
