package httpfield_test

import (
	"testing"

	"sidecar/internal/httpfield"
)

func TestFieldsThatMayBeTrailers(t *testing.T) { // RFC 9110 §6.5.1
	for name, want := range map[string]bool{
		"X-Sum": true, "Content-Digest": true, "Repr-Digest": true, "Etag": true,
		"Server-Timing": true, "Grpc-Status": true, "Grpc-Message": true,
		"X-Trace": true, "Signature": true, "Content-Md5": true,
		"Content-Length": false, "Transfer-Encoding": false, "Trailer": false, "Te": false,
		"Connection": false, "Host": false,
		"Authorization": false, "Cookie": false, "Set-Cookie": false, "X-Forwarded-For": false,
		"X_Forwarded_For": false, "Forwarded": false,
		"X-Real-Ip": false, "Via": false, "Content-Type": false, "Content-Encoding": false,
		"Content-Range": false, "Cache-Control": false,
		"If-Match": false, "Range": false, "Expect": false, "X-Api-Key": false,
		"X-Auth-Request-User": false, "Remote-User": false,
		"X-Http-Method-Override": false, "X-Original-Url": false, "Idempotency-Key": false,
		"Location": false, "Vary": false, "X-Csrf-Token": false,
		"Cf-Access-Jwt-Assertion": false, "X-Vault-Token": false, "Ssl-Client-Verify": false,
		"X-Authentik-Username": false,
		"":                     false, "a b": false,
	} {
		if got := httpfield.MayBeTrailer(name); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}
