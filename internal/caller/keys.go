package caller

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/go-jose/go-jose/v4"

	"sidecar/cachekeys"
)

// Times and bounds of keys.
const (
	keysEvery   = 5 * time.Minute  // between two reads of a source
	keysRetry   = 10 * time.Second // after a failure, or when a token names an unknown key
	keysTimeout = 10 * time.Second
	maxKeys     = 1 << 20 // bytes
)

// A verifier checks tokens with its present keys.
type verifier struct {
	algorithms       []jose.SignatureAlgorithm
	issuer, audience string
	typ              string              // that a token has to have; "": any
	id               *cachekeys.Template // of Config
	read             func(ctx context.Context) ([]jose.JSONWebKey, error)
	keys             atomic.Pointer[keySet] // nil: not read yet
	wanted           chan struct{}          // a token named an unknown key
}

// A keySet is the keys of one read, with the tokens that they verified. The tokens are forgotten
// with the keys.
type keySet struct {
	keys   []jose.JSONWebKey
	tokens remembered
}

// newVerifier reads the keys, unless they come from a URL.
func newVerifier(j *JWT, id *cachekeys.Template) (*verifier, error) {
	if err := j.Check(); err != nil {
		return nil, err
	}
	v := &verifier{
		issuer: j.Issuer, audience: j.Audience, typ: j.Type, id: id,
		wanted: make(chan struct{}, 1),
	}
	for _, a := range j.Algorithms {
		v.algorithms = append(v.algorithms, jose.SignatureAlgorithm(a))
	}
	switch {
	case len(j.Secret) > 0:
		v.use([]jose.JSONWebKey{{Key: padded(j.Secret)}})
		return v, nil
	case j.JWKSURL != "":
		v.read = func(ctx context.Context) ([]jose.JSONWebKey, error) {
			return fetchKeys(ctx, j.JWKSURL)
		}
		return v, nil
	case j.JWKSFile != "":
		v.read = func(context.Context) ([]jose.JSONWebKey, error) {
			return readKeys(j.JWKSFile, parseJWKS)
		}
	default:
		v.read = func(context.Context) ([]jose.JSONWebKey, error) {
			return readKeys(j.PublicKeyFile, parsePEM)
		}
	}
	return v, v.refresh(context.Background())
}

// padded lengthens a secret that is shorter than RFC 7518 §3.2 wants, as HMAC itself pads it (RFC
// 2104 §2). The library refuses such a secret, but the API may sign with it. The policies warn of
// it.
func padded(secret []byte) []byte {
	const block = 64 // bytes: the block of SHA-256, as long as the longest hash
	if len(secret) >= block {
		return secret
	}
	return append(slices.Clone(secret), make([]byte, block-len(secret))...)
}

func (v *verifier) refresh(ctx context.Context) error {
	keys, err := v.read(ctx)
	if err != nil {
		return err
	}
	v.use(keys)
	return nil
}

// use replaces the keys. The tokens that the former ones verified are forgotten.
func (v *verifier) use(keys []jose.JSONWebKey) {
	if former := v.keys.Swap(&keySet{keys: keys}); former != nil {
		former.tokens.end()
	}
}

// run reads the keys again periodically, since they rotate. While a source fails, the present keys
// stay.
func (v *verifier) run(ctx context.Context) {
	if v.read == nil {
		return
	}
	for {
		wait := keysEvery
		bounded, cancel := context.WithTimeout(ctx, keysTimeout)
		if v.refresh(bounded) != nil {
			wait = keysRetry
		}
		cancel()
		if !v.pause(ctx, wait) {
			return
		}
	}
}

// pause waits until the next read is due, or until a token names an unknown key. It returns false
// if ctx is done.
func (v *verifier) pause(ctx context.Context, wait time.Duration) bool {
	soon := time.NewTimer(keysRetry)
	defer soon.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-soon.C:
	}
	if wait <= keysRetry {
		return true
	}
	late := time.NewTimer(wait - keysRetry)
	defer late.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-late.C:
	case <-v.wanted:
	}
	return true
}

// keysFor returns the keys that may have signed a token with this key id: those with the same id,
// or without one.
func (v *verifier) keysFor(id string, set *keySet) []jose.JSONWebKey {
	var out []jose.JSONWebKey
	for _, k := range set.keys {
		if id == "" || k.KeyID == "" || k.KeyID == id {
			out = append(out, k)
		}
	}
	if len(out) == 0 {
		v.want()
	}
	return out
}

func (v *verifier) want() {
	select {
	case v.wanted <- struct{}{}:
	default:
	}
}

func readKeys(
	file string, parse func([]byte) ([]jose.JSONWebKey, error),
) ([]jose.JSONWebKey, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxKeys))
	if err != nil {
		return nil, err
	}
	keys, err := parse(content)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return keys, nil
}

func fetchKeys(ctx context.Context, url string) ([]jose.JSONWebKey, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the key set is answered with %d", resp.StatusCode)
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, maxKeys))
	if err != nil {
		return nil, err
	}
	return parseJWKS(content)
}

// parseJWKS reads a key set (RFC 7517 §5). It skips keys that are damaged or of an unknown kind or
// curve, as §5 wants, since a set may have keys for others. A key that is not public is an error.
func parseJWKS(content []byte) ([]jose.JSONWebKey, error) {
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(content, &set); err != nil {
		return nil, fmt.Errorf("no key set (RFC 7517): %w", err)
	}
	var keys []jose.JSONWebKey
	var unread error
	for _, text := range set.Keys {
		var k jose.JSONWebKey
		if err := json.Unmarshal(text, &k); err != nil {
			unread = err
			continue
		}
		if k.Use != "" && k.Use != "sig" {
			continue
		}
		if !k.Valid() || !k.IsPublic() {
			return nil, fmt.Errorf("key %q is no public key", k.KeyID)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		if unread != nil {
			return nil, fmt.Errorf("the key set has no key for signatures that can be read: %w",
				unread)
		}
		return nil, errors.New("the key set has no key for signatures")
	}
	return keys, nil
}

// parsePEM reads one public key, or that of a certificate.
func parsePEM(content []byte) ([]jose.JSONWebKey, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("no PEM block: it begins with -----BEGIN PUBLIC KEY-----")
	}
	switch block.Type {
	case "PUBLIC KEY":
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		return []jose.JSONWebKey{{Key: key}}, err
	case "RSA PUBLIC KEY":
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		return []jose.JSONWebKey{{Key: key}}, err
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return []jose.JSONWebKey{{Key: certificate.PublicKey}}, nil
	}
	return nil, fmt.Errorf("a PEM block %q is no public key", block.Type)
}
