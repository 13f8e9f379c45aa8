package redisconn

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/config"
)

// An access is all that a server wants to see before it lets a connection in. It does not change.
type access struct {
	username, password string
	sentinelPassword   string
	tls                *tls.Config // without ServerName; nil: no TLS
	sum                [sha256.Size]byte
}

// A keeper has the access that new connections use. Files are read again and again, since passwords
// and certificates are rotated by replacing them. The access that let us in last stays in use until
// a newer one has let us in, so that a file may change some time before the server does; or until a
// server refuses it. It is safe for concurrent use.
type keeper struct {
	redis config.Redis

	mu      sync.Mutex
	inUse   *access // nil: none has let us in yet, or it was refused
	tried   *access // that was read for a connection since
	tls     *tls.Config
	tlsFrom [sha256.Size]byte // digest of the files that tls was made from
}

// current is the access for a new connection.
func (k *keeper) current() (*access, error) {
	if inUse := k.using(); inUse != nil {
		return inUse, nil
	}
	a, err := k.read()
	if err == nil {
		k.mu.Lock()
		k.tried = a
		k.mu.Unlock()
	}
	return a, err
}

// letIn is told that a server has let a connection in: the access that it was made with stays.
func (k *keeper) letIn() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.inUse == nil {
		k.inUse = k.tried
	}
}

// admitted takes an access with which a server let us in.
func (k *keeper) admitted(a *access) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.inUse = a
}

// using is the access in use; nil if none has let us in yet.
func (k *keeper) using() *access {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.inUse
}

// refused is told of an error. It reports whether it is worth trying again, because the server
// refused an access that is not the newest.
func (k *keeper) refused(err error) (again bool) {
	if !isAccess(err) {
		return false
	}
	newest, readErr := k.read()
	k.mu.Lock()
	defer k.mu.Unlock()
	again = k.inUse != nil && readErr == nil && newest.sum != k.inUse.sum
	k.inUse, k.tried = nil, nil
	return again
}

// rotates reports whether anything of the access is in a file.
func (k *keeper) rotates() bool {
	r := k.redis
	return r.Password.IsFile() || r.URL.IsFile() || r.SentinelPassword.IsFile() ||
		r.CAFile+r.CertFile != ""
}

// read reads the newest access. Errors name the variable, and never repeat a secret.
func (k *keeper) read() (*access, error) {
	r, a := k.redis, new(access)
	secure := r.TLS
	a.username = r.Username
	if r.URL.IsSet() {
		o, err := parseURL(r)
		if err != nil {
			return nil, err
		}
		secure = secure || o.TLSConfig != nil
		a.password = o.Password
		if o.Username != "" {
			a.username = o.Username
		}
	}
	var err error
	if a.password == "" {
		if a.password, err = secret(r.Variable("PASSWORD"), r.Password); err != nil {
			return nil, err
		}
	}
	if a.sentinelPassword, err = secret(r.Variable("SENTINEL_PASSWORD"),
		r.SentinelPassword); err != nil {
		return nil, err
	}
	sum := sha256.New()
	if secure {
		var from [sha256.Size]byte
		if a.tls, from, err = k.readTLS(); err != nil {
			return nil, err
		}
		sum.Write(from[:])
	}
	for _, part := range []string{a.username, a.password, a.sentinelPassword} {
		fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	sum.Sum(a.sum[:0])
	return a, nil
}

// secret is the value of a secret that may be in a file.
func secret(variable string, s config.Secret) (string, error) {
	value, err := s.Value()
	switch {
	case err != nil:
		return "", err
	case value == "" && s.IsSet():
		return "", fmt.Errorf("%s_FILE: the file is empty: write the password into it", variable)
	}
	return value, nil
}

// readTLS reads the files of TLS. They are parsed only when they have changed.
func (k *keeper) readTLS() (*tls.Config, [sha256.Size]byte, error) {
	r := k.redis
	var contents [3][]byte
	digest := sha256.New()
	for i, file := range []struct{ variable, name string }{
		{"TLS_CA_FILE", r.CAFile}, {"TLS_CERT_FILE", r.CertFile}, {"TLS_KEY_FILE", r.KeyFile},
	} {
		if file.name == "" {
			continue
		}
		content, err := readBounded(file.name)
		if err != nil {
			return nil, [sha256.Size]byte{}, fmt.Errorf("%s: %w", r.Variable(file.variable), err)
		}
		contents[i] = content
		fmt.Fprintf(digest, "%d:%d:%s", i, len(content), content)
	}
	from := [sha256.Size]byte(digest.Sum(nil))
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.tls != nil && from == k.tlsFrom {
		return k.tls, from, nil
	}
	c, err := newTLS(r, contents[0], contents[1], contents[2])
	if err == nil {
		k.tls, k.tlsFrom = c, from
	}
	return c, from, err
}

func newTLS(r config.Redis, ca, cert, key []byte) (*tls.Config, error) {
	// The watch dials again and again: a session that is resumed costs less.
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, ClientSessionCache: tls.NewLRUClientSessionCache(64),
	}
	if r.CAFile != "" {
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(ca) {
			return nil, fmt.Errorf(
				"%s: %s has no certificate in PEM: it has to begin with -----BEGIN CERTIFICATE-----",
				r.Variable("TLS_CA_FILE"), r.CAFile)
		}
	}
	if r.CertFile != "" {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("%s and %s are no pair of certificate and key in PEM: %s",
				r.Variable("TLS_CERT_FILE"), r.Variable("TLS_KEY_FILE"),
				strings.TrimPrefix(err.Error(), "tls: "))
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// maxPEM bounds a file of certificates.
const maxPEM = 4 << 20

func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err == nil && len(content) > maxPEM {
		err = fmt.Errorf("%s is over %d MiB", name, maxPEM>>20)
	}
	return content, err
}

// parseURL parses the URL. Errors never repeat it: it may hold a password, and a part of one where
// it cannot be parsed.
func parseURL(r config.Redis) (*redis.Options, error) {
	variable := r.Variable("URL")
	text, err := r.URL.Value()
	if err != nil {
		return nil, err
	}
	o, err := redis.ParseURL(text)
	// An unescaped # ends the URL, and without // there is no host: a part of the password would be
	// dialled and logged, or another server be taken.
	if err != nil || strings.Contains(text, "#") || !strings.Contains(text, "://") {
		return nil, errors.New(variable +
			" is no URL like redis://user:password@host:6379/0 or rediss://…," +
			" in which all but letters, digits and -._~ of user and password is written as %XX")
	}
	if o.TLSConfig != nil && o.TLSConfig.InsecureSkipVerify {
		return nil, errors.New(variable +
			": skip_verify is not supported: name the CA of the server in " +
			r.Variable("TLS_CA_FILE"))
	}
	return o, nil
}
