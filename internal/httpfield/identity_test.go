package httpfield

import (
	"strings"
	"testing"
)

func TestFieldsThatSayWhoIsAskingAreKnownInAllSpellings(t *testing.T) {
	known := []string{"x-forwarded-user-id", "my-token", "x-csp-access-key"}
	for _, name := range identityFields {
		prefix, open := strings.CutSuffix(name, "*")
		if known = append(known, prefix); open {
			known = append(known, prefix+"x", prefix+"-~")
		}
	}
	for _, suffix := range identitySuffixes {
		known = append(known, suffix, "x-"+suffix, "x"+suffix)
	}
	for _, name := range known {
		for _, spelling := range []string{
			name, titled(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"),
		} {
			if !Identifies(spelling) {
				t.Errorf("%s is not known", spelling)
			}
		}
	}
}

func TestOtherFieldsSayNothingAboutWhoIsAsking(t *testing.T) {
	for _, name := range []string{
		"", "a", "Host", "Accept", "Referer", "User-Agent", "X-Forwarded-For", "X-Forwarded-Use",
		"X-Forwarded-Emails", "X-Request-Id", "X-Email-", "Client-Cert-Chains", "Client-Cer",
		"Tokens", "Proxy-Authorization", "Proxy_Authorization", "X-Csrf-Token", "XSRF-TOKEN",
		"RequestVerificationToken", "\x00\x00\x00\x00\x00", "Authorizatioń",
	} {
		if Identifies(name) {
			t.Errorf("%q", name)
		}
	}
}

// A name is looked for among the texts before it in the order, of which only the last is compared.
func TestNoIdentityFieldBeginsWithAnOpenOne(t *testing.T) {
	for i, f := range sortedIdentity[1:] {
		if before := sortedIdentity[i]; before.open && strings.HasPrefix(f.text, before.text) {
			t.Errorf("%s is one of %s*", f.text, before.text)
		}
	}
}
