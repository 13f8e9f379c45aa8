package redisd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A CA signs certificates for tests.
type CA struct {
	t    testing.TB
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Files are a certificate and its key in PEM, and the CA that signed it.
type Files struct {
	CA, Cert, Key string
	pair          tls.Certificate
}

// NewCA makes a CA.
func NewCA(t testing.TB) *CA {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &CA{t: t, key: key, file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "test CA"}, IsCA: true,
		BasicConstraintsValid: true,
		NotBefore:             time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if c.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	c.write(c.file, "CERTIFICATE", der)
	return c
}

func serial() *big.Int {
	n, _ := rand.Int(rand.Reader, big.NewInt(1<<62))
	return n
}

// Issue makes a certificate for a host, valid until ends, for servers and clients.
func (c *CA) Issue(host string, ends time.Time) *Files {
	c.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		c.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: host},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: ends,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, &key.PublicKey, c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		c.t.Fatal(err)
	}
	dir := c.t.TempDir()
	f := &Files{
		CA: c.file, Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem"),
		pair: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
	}
	c.write(f.Cert, "CERTIFICATE", der)
	c.write(f.Key, "EC PRIVATE KEY", encoded)
	return f
}

// Host makes a certificate for 127.0.0.1 that is valid.
func (c *CA) Host() *Files {
	c.t.Helper()
	return c.Issue("127.0.0.1", time.Now().Add(time.Hour))
}

func (c *CA) write(file, kind string, der []byte) {
	c.t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}),
		0o600); err != nil {
		c.t.Fatal(err)
	}
}

// Config is that of a test's own client, which does not look at the server's certificate.
func (f *Files) Config() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{f.pair}, InsecureSkipVerify: true}
}
