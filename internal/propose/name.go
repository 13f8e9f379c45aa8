package propose

import "strings"

// Name is a name for the route of a path, without its first skip segments: it is a label of
// metrics.
func Name(p Path, skip int) string {
	const longest = 80
	name := strings.Join(p[min(skip, len(p)-1):].words(), "_")
	if name == "" {
		return "root"
	}
	return name[:min(len(name), longest)]
}

// fickle are words of paths whose answers often change without a write, have an effect, or are made
// for one request.
var fickle = func() map[string]bool {
	words := map[string]bool{}
	for _, word := range strings.Fields(`
		auth authorize login logout signin signout signup register oauth oauth2 sso saml token
		tokens refresh callback csrf captcha otp mfa verify confirm reset password health healthz
		healthcheck livez readyz ready live ping status metrics debug version events event stream
		streams feed sse ws websocket socket subscribe poll polling realtime presence online
		export exports download downloads report reports backup random shuffle roll now time clock
		today queue jobs tasks progress notifications unread search suggest autocomplete
		recommendations trending stats statistics analytics count captchas checkout payment
		payments balance quote price prices rates availability internal admin`) {
		words[word] = true
	}
	return words
}()

// Fickle is the first word of a path whose answers had better be looked at first; "" if there is
// none.
func Fickle(p Path) string {
	for _, s := range p {
		if s.Wild {
			continue
		}
		for word := range strings.FieldsFuncSeq(strings.ToLower(s.Text), func(c rune) bool {
			return (c < '0' || c > '9') && (c < 'a' || c > 'z')
		}) {
			if fickle[word] {
				return word
			}
		}
	}
	return ""
}
