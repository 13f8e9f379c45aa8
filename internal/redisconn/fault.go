package redisconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/config"
)

// A fault is logged again if it lasts, or if it is back after it was gone.
const (
	sayAgain  = 10 * time.Minute
	isBack    = 10 * time.Second
	maxFaults = 32 // that are remembered
)

// A lastFault is why Redis cannot be used. The zero value is none.
type lastFault struct {
	mu   sync.Mutex
	text string // "" for none
	gone time.Time
	said map[string]time.Time // by the text without its details
}

// set notes a fault, and reports whether it is to be logged. Its details, from the first " (" on,
// may have another port each time.
func (f *lastFault) set(text string, now time.Time) (say bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.text = text
	fault, _, _ := strings.Cut(text, " (")
	at, known := f.said[fault]
	if known && (now.Sub(at) < isBack || at.After(f.gone) && now.Sub(at) < sayAgain) {
		return false
	}
	if f.said == nil || len(f.said) >= maxFaults {
		f.said = map[string]time.Time{}
	}
	f.said[fault] = now
	return true
}

func (f *lastFault) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.text != "" {
		f.text, f.gone = "", time.Now()
	}
}

func (f *lastFault) get() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.text
}

// failed notes and logs why Redis cannot be used, once for each reason.
func (c *Conn) failed(ctx context.Context, err error) {
	switch {
	case err == nil, ctx.Err() != nil, errors.Is(err, ErrAway), errors.Is(err, ErrUnproved),
		errors.Is(err, errOutdated), errors.Is(err, net.ErrClosed): // the last: by ourselves
		return // they have another reason, which is told
	}
	// A dial may go on when its caller's time is over.
	if dialled := c.dialled.Load(); isTimeout(err) && dialled != nil && *dialled != nil {
		err = *dialled
	}
	if text := explain(c.redis, err); c.fault.set(text, time.Now()) {
		c.log.Warn("redis cannot be used", "redis", c.name, "why", text)
	}
}

// explain names an error of a connection, and the variable and the remedy where they are known. It
// never repeats a secret.
func explain(r config.Redis, err error) string {
	where := ""
	user, password := "USERNAME", "PASSWORD"
	if s, ok := errors.AsType[*sentinelError](err); ok {
		where, user, password = "sentinel "+s.addr+": ", "SENTINEL_USERNAME", "SENTINEL_PASSWORD"
	}
	if text := explainTLS(r, err); text != "" {
		return where + text
	}
	if text := explainReply(r, err, user, password); text != "" {
		return where + text
	}
	if errors.Is(err, ErrReplica) {
		return where + "it is a replica: name the primary"
	}
	return where + explainNetwork(r, err)
}

func explainTLS(r config.Redis, err error) string {
	failed, handshake := errors.AsType[*tlsError](err)
	if strings.Contains(err.Error(), alert) {
		return fmt.Sprintf(
			"certificate refused: the server does not take ours: check %s and %s (%v)",
			r.Variable("TLS_CERT_FILE"), r.Variable("TLS_KEY_FILE"), err)
	}
	if !handshake {
		return ""
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok &&
		invalid.Reason == x509.Expired {
		return fmt.Sprintf("certificate expired, or not valid yet: renew it on the server (%v)",
			failed)
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Sprintf(
			"certificate of an unknown CA: name the PEM file of the server's CA in %s (%v)",
			r.Variable("TLS_CA_FILE"), failed)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf("certificate of another host: set %s to a name in it (%v)",
			r.Variable("TLS_SERVER_NAME"), failed)
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return fmt.Sprintf("no TLS at %s: name its TLS port, or unset %s (or write redis:// in %s)",
			failed.addr, r.Variable("TLS"), r.Variable("URL"))
	}
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || isTimeout(err) {
		return fmt.Sprintf(
			"no answer to TLS at %s: if it is a plain port, name that of TLS, or unset %s (or "+
				"write redis:// in %s)",
			failed.addr, r.Variable("TLS"), r.Variable("URL"))
	}
	return ""
}

// explainReply explains an error reply.
func explainReply(r config.Redis, err error, user, password string) string {
	reply, ok := errors.AsType[redis.Error](err)
	if !ok {
		return ""
	}
	text := reply.Error()
	user, password = r.Variable(user), r.Variable(password)
	for _, known := range []struct{ part, text string }{
		{"NOAUTH", "no password: it wants one: set " + password},
		{"WRONGPASS", "wrong password or user: check " + user + " and " + password},
		{"invalid password", "wrong password: check " + password},
		{"without any password configured",
			"no password is set on the server: unset " + password + ", or set it there"},
		{"No such master", "no such primary: the Sentinels do not know " +
			r.Variable("SENTINEL_MASTER") + "=" + r.Master},
		{"SELECT is not allowed in cluster mode",
			"it is a Cluster, with one database: set " + r.Variable("CLUSTER_HOSTS")},
		{"MOVED ", "it is a node of a Cluster: name it by " + r.Variable("CLUSTER_HOSTS")},
		{"cluster support disabled", "it is no Cluster: name it by " + r.Variable("HOST")},
		{"DB index is out of range", "there is no such database: change " + r.Variable("DB")},
		{"READONLY", "it is a replica: name the primary"},
		{"CLUSTERDOWN", "the Cluster is down, or a part of it"},
		{"NOPERM", "missing permission: docs/redis.md lists those that are needed"},
		{"OOM ", "it is full: raise its maxmemory; a cache may also evict: maxmemory-policy"},
		{"LOADING", "it starts, and loads its data"},
		{"MISCONF", "it cannot save to its disk, and takes no writes: see its log"},
		{"NOREPLICAS", "it has fewer replicas than min-replicas-to-write, and takes no writes"},
		{"max number of clients", "it takes no more connections: raise its maxclients, or lower " +
			r.Variable("POOL_SIZE")},
		{"BUSY ", "a script of somebody blocks it: SCRIPT KILL ends it"},
	} {
		if strings.Contains(text, known.part) {
			return known.text + " (" + text + ")"
		}
	}
	return text
}

func explainNetwork(r config.Redis, err error) string {
	_, unknown := errors.AsType[*net.DNSError](err)
	switch {
	case unknown:
		return fmt.Sprintf("unknown host: check %s (%v)", r.Variable(r.Kind()), err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Sprintf("refused: nothing listens there (%v)", err)
	case isTimeout(err):
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return fmt.Sprintf("it closes the connection: if it is a port of TLS, set %s=true (%v)",
			r.Variable("TLS"), err)
	}
	return fmt.Sprintf("it cannot be reached (%v)", err)
}
