package caller_test

import (
	"testing"

	"sidecar/internal/caller"
	"sidecar/internal/reason"
)

func TestOneCredentialBesideAnotherInAuthorizationBypasses(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		lines  []string
		bypass bool
	}{
		{"two lines", []string{"Authorization: Bearer a", "Authorization: Basic b"}, true},
		{"two lines alike", []string{"Authorization: Basic a", "Authorization: Basic a"}, true},
		{"an empty second line", []string{"Authorization: Basic a", "Authorization: "}, true},
		{"Bearer before Basic", []string{"Authorization: Bearer a, Basic b"}, true},
		{"Basic before Bearer", []string{"Authorization: Basic YTpi==, Bearer b"}, true},
		{"without a space", []string{"Authorization: Bearer a,Basic b"}, true},
		{"a token and a parameter", []string{"Authorization: Bearer a, session=b"}, true},
		{"parameters before Bearer", []string{`Authorization: Digest username="a", Bearer b`},
			true},
		{"quotes that do not close", []string{`Authorization: Digest username="a, realm=b`}, true},
		{"a token in JSON form (RFC 7515 §7.2)",
			[]string{`Authorization: Bearer {"payload":"a","signature":"b"}`}, true},
		{"no scheme", []string{"Authorization: a,b"}, true},

		{"Basic", []string{"Authorization: Basic YTpi"}, false},
		{"an opaque token", []string{"Authorization: Bearer mF_9.B5f-4.1JqM=="}, false},
		{"Digest", []string{
			`Authorization: Digest username="a, b", realm="x", qop=auth, nc=00000001`,
		}, false},
		{"a signature of AWS",
			[]string{"Authorization: AWS4-HMAC-SHA256 Credential=AK/20261126/eu/s3/aws4_request, " +
				"SignedHeaders=host;range, Signature=fe5f80f7"}, false},
		{"empty", []string{"Authorization: "}, false},
		{"beside a cookie", []string{"Authorization: Basic a", "Cookie: session=b"}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got := who(t, caller.Default(), tt.lines...)
			if tt.bypass != (got.Bypass == reason.UnclearCredential) ||
				tt.bypass != (got.ID == "") {
				t.Errorf("%+v", got)
			}
		})
	}
}
