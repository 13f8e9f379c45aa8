package redisconn_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/internal/config"
	"sidecar/internal/redisconn"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

func TestTLSWithAPrivateCAAndAClientCertificate(t *testing.T) {
	t.Parallel()
	ca := redisd.NewCA(t)
	server := redisd.Start(t, redisd.TLS(ca.Host()), redisd.Password("geheim"))
	for name, r := range map[string]config.Redis{
		"variables": server.Redis(),
		"rediss": func() config.Redis {
			r := server.Redis()
			r.URL, r.Host, r.Port, r.TLS = config.NewSecret("rediss://:geheim@"+server.Addr()), "",
				"", false
			r.Password = config.Secret{}
			return r
		}(),
	} {
		c := open(t, r, patient)
		if err := set(t.Context(), c, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Each fault is named with its variable, the connection is not used, and it is used as soon as the
// fault is put right, without a restart.
func TestAFaultOfAccessIsNamedAndRecovers(t *testing.T) {
	t.Parallel()
	ca := redisd.NewCA(t)
	good := ca.Host()
	secure := redisd.Start(t, redisd.TLS(good))
	plain := redisd.Start(t, redisd.Password("geheim"))
	files := func(t *testing.T, r config.Redis) (config.Redis, func(name, file string)) {
		dir := t.TempDir()
		r.CAFile, r.CertFile, r.KeyFile = filepath.Join(dir, "ca"), filepath.Join(dir, "cert"),
			filepath.Join(dir, "key")
		put := func(name, file string) {
			content, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		put("ca", good.CA)
		put("cert", good.Cert)
		put("key", good.Key)
		return r, put
	}
	for _, c := range []struct {
		name, want string
		fault      func(put func(name, file string))
	}{
		{"a CA that is no PEM", "REDIS_TLS_CA_FILE",
			func(put func(string, string)) { put("ca", "access_test.go") }},
		{"another CA", "REDIS_TLS_CA_FILE",
			func(put func(string, string)) { put("ca", redisd.NewCA(t).Host().CA) }},
		{"a key of another certificate", "REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE",
			func(put func(string, string)) { put("key", ca.Host().Key) }},
		{"a client certificate of another CA", "REDIS_TLS_CERT_FILE and REDIS_TLS_KEY_FILE",
			func(put func(string, string)) {
				other := redisd.NewCA(t).Host()
				put("cert", other.Cert)
				put("key", other.Key)
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, put := files(t, secure.Redis())
			c.fault(put)
			conn := greeting(t, r)
			awaitFault(t, conn, c.want)
			put("ca", good.CA)
			put("cert", good.Cert)
			put("key", good.Key)
			awaitHealthy(t, conn)
		})
	}
	for _, c := range []struct {
		name, want string
		redis      config.Redis
	}{
		{"TLS on a plain port", "unset REDIS_TLS",
			func() config.Redis { r := plain.Redis(); r.TLS = true; return r }()},
		{"plain on a port of TLS", "REDIS_TLS=true",
			func() config.Redis { r := secure.Redis(); r.TLS = false; return r }()},
		{"a wrong password", "REDIS_PASSWORD", func() config.Redis {
			r := plain.Redis()
			r.Password = config.NewSecret("x")
			return r
		}()},
		{"no password", "set REDIS_PASSWORD",
			func() config.Redis { r := plain.Redis(); r.Password = config.Secret{}; return r }()},
		{"a name that is not in the certificate", "REDIS_TLS_SERVER_NAME",
			func() config.Redis {
				r := secure.Redis()
				r.ServerName = "redis.example"
				return r
			}()},
		{"a replica", "it is a replica: name the primary",
			redisd.Start(t, redisd.Config("replicaof 127.0.0.1 1")).Redis()},
		{"a closed port", "refused", config.Redis{Host: "127.0.0.1", Port: "1"}},
		{"no file of the password", "REDIS_PASSWORD_FILE: open /nowhere",
			load(t, "REDIS_HOST=127.0.0.1", "REDIS_PASSWORD_FILE=/nowhere").Redis},
		{"an empty file of the password", "REDIS_PASSWORD_FILE: the file is empty",
			load(t, "REDIS_HOST=127.0.0.1", "REDIS_PASSWORD_FILE=/dev/null").Redis},
		{"no such database", "REDIS_DB",
			func() config.Redis { r := plain.Redis(); r.DB = 99; return r }()},
		{"no Cluster", "REDIS_HOST", config.Redis{Cluster: config.Hosts(redisd.Start(t).Addr())}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var said logged
			awaitFault(t, greetingTo(t, c.redis, slog.New(&said)), c.want)
			time.Sleep(time.Second) // of faults, four and more
			if n := said.faults.Load(); n == 0 || n > 3 {
				t.Errorf("it is logged %d times", n)
			}
		})
	}
}

// A server that is no primary loses all connections at once, some of them under a command.
func TestAConnectionThatWeDroppedOurselvesIsNoFault(t *testing.T) {
	t.Parallel()
	c := open(t, config.Redis{Host: "127.0.0.1", Port: "1"}, patient)
	c.Failed(redisconn.ErrReplica)
	c.Failed(&net.OpError{Op: "read", Net: "tcp", Err: net.ErrClosed})
	if err := c.Healthy(); err == nil || err.Error() != "it is a replica: name the primary" {
		t.Errorf("%v", err)
	}
}

func TestAnExpiredCertificateAndOneOfAnotherHostAreNamed(t *testing.T) {
	t.Parallel()
	ca := redisd.NewCA(t)
	for want, cert := range map[string]*redisd.Files{
		"certificate expired":   ca.Issue("127.0.0.1", time.Now().Add(-time.Hour)),
		"REDIS_TLS_SERVER_NAME": ca.Issue("redis.example", time.Now().Add(time.Hour)),
	} {
		server := redisd.Start(t, redisd.TLS(cert), redisd.Config("tls-auth-clients no"))
		r := server.Redis()
		r.CertFile, r.KeyFile = "", ""
		conn := greeting(t, r)
		awaitFault(t, conn, want)
		if want == "REDIS_TLS_SERVER_NAME" {
			r.ServerName = "redis.example"
			awaitHealthy(t, greeting(t, r))
		}
	}
}

// logged counts the faults in a log.
type logged struct {
	slog.TextHandler
	faults atomic.Int32
}

func (l *logged) Enabled(context.Context, slog.Level) bool { return true }

func (l *logged) Handle(_ context.Context, r slog.Record) error {
	if r.Message == "redis cannot be used" {
		l.faults.Add(1)
	}
	return nil
}

// greeting is a connection that probes and watches.
func greeting(t *testing.T, r config.Redis) *redisconn.Conn {
	t.Helper()
	return greetingTo(t, r, nil)
}

func greetingTo(t *testing.T, r config.Redis, log *slog.Logger) *redisconn.Conn {
	t.Helper()
	c, err := redisconn.New(redisconn.Options{
		Name: "cache", Redis: r, Breaker: patient, Names: testNames,
		Greet: redisconn.Primary{}, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	probing(t, c)
	return c
}

func awaitFault(t *testing.T, c *redisconn.Conn, want string) {
	t.Helper()
	proc.Await(t, 20*time.Second, func() error {
		if err := c.Healthy(); err == nil || !strings.Contains(err.Error(), want) {
			return fmt.Errorf("%v, want %q", err, want)
		}
		return nil
	})
	if s := c.Stats(); s.Connected || !strings.Contains(s.Error, want) {
		t.Errorf("%+v", s)
	}
}

func TestARedisThatTakesNoWritesIsNamed(t *testing.T) {
	t.Parallel()
	for want, begin := range map[string]func(*redisd.Server){
		"it is full: raise its maxmemory": func(s *redisd.Server) {
			s.Do("CONFIG", "SET", "maxmemory", "1")
		},
		"fewer replicas than min-replicas-to-write": func(s *redisd.Server) {
			s.Do("CONFIG", "SET", "min-replicas-to-write", "1")
		},
		"a script of somebody blocks it": func(s *redisd.Server) {
			s.Do("CONFIG", "SET", "busy-reply-threshold", "1")
			client := s.Client()
			go client.Eval(t.Context(), "while true do end", nil) // ends with the server
		},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			server := redisd.Start(t)
			begin(server)
			awaitFault(t, greeting(t, server.Redis()), want)
		})
	}
}

func TestAFaultOfSentinelsIsNamed(t *testing.T) {
	t.Parallel()
	s := redisd.StartSentinels(t, "geheim", nil)
	for _, c := range []struct {
		name, want string
		change     func(*config.Redis)
	}{
		{"an unknown primary", "REDIS_SENTINEL_MASTER=other",
			func(r *config.Redis) { r.Master = "other" }},
		{"a wrong password of the Sentinels", "REDIS_SENTINEL_PASSWORD",
			func(r *config.Redis) { r.SentinelPassword = config.NewSecret("x") }},
		{"no password of the Sentinels", "set REDIS_SENTINEL_PASSWORD",
			func(r *config.Redis) { r.SentinelPassword = config.Secret{} }},
		{"a wrong password of the primary", "check REDIS_USERNAME and REDIS_PASSWORD",
			func(r *config.Redis) { r.Password = config.NewSecret("x") }},
		{"no Sentinel there", "refused",
			func(r *config.Redis) { r.Sentinels = "127.0.0.1:1,127.0.0.1:2" }},
		{"a Redis in the place of a Sentinel", "sentinel ", func(r *config.Redis) {
			r.Sentinels = config.Hosts(s.Primary.Addr())
			r.SentinelPassword = r.Password
		}},
		{"one of three there", "", func(r *config.Redis) {
			r.Sentinels = "127.0.0.1:1,127.0.0.1:2," + config.Hosts(s.Watchers[0].Addr())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := s.Redis()
			c.change(&r)
			if conn := greeting(t, r); c.want != "" {
				awaitFault(t, conn, c.want)
			} else {
				awaitHealthy(t, conn)
			}
		})
	}
}

func TestAClusterThatIsHalfThereIsAwayUntilItIsWhole(t *testing.T) {
	t.Parallel()
	c := redisd.StartCluster(t)
	conn := greeting(t, c.Redis())
	awaitHealthy(t, conn)
	node, _ := c.Owner("test:probe")
	c.Nodes[(node+1)%3].Kill()
	awaitFault(t, conn, "the Cluster is down, or a part of it")
	c.Nodes[(node+1)%3].Restart()
	awaitHealthy(t, conn)
}
