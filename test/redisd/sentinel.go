package redisd

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sidecar/internal/config"
)

// Sentinels are three of them that watch a primary with one replica.
type Sentinels struct {
	t                *testing.T
	Primary, Replica *Server // as they were at the start
	Watchers         []*Server
	password         string // of the Sentinels
}

// Master is the primary's name.
const Master = "mymaster"

// StartSentinels starts them. password is that of the servers and, with a suffix, of the Sentinels;
// "": none. tls is the certificate of all; nil: no TLS.
func StartSentinels(t *testing.T, password string, tls *Files) *Sentinels {
	t.Helper()
	s := &Sentinels{t: t}
	opts := []Option{func(s *Server) { s.tls = tls }}
	if password != "" {
		s.password = password + "-sentinel"
		opts = append(opts, Password(password), Config("masterauth "+password))
	}
	s.Primary, s.Replica = Start(t, opts...), Start(t, opts...)
	s.Replica.Do("REPLICAOF", s.Primary.Host(), s.Primary.Port())
	for range 3 {
		lines := []string{
			fmt.Sprintf("sentinel monitor %s %s %s 2", Master, s.Primary.Host(), s.Primary.Port()),
			"sentinel down-after-milliseconds " + Master + " 1000",
			"sentinel failover-timeout " + Master + " 5000",
		}
		if password != "" {
			lines = append(lines, "sentinel auth-pass "+Master+" "+password,
				"sentinel sentinel-pass "+s.password)
		}
		s.Watchers = append(s.Watchers, Start(t, Config(lines...), func(w *Server) {
			w.tls, w.sentinel, w.password = tls, true, s.password
		}))
	}
	s.await(func() bool { return s.see(s.Watchers[0], "num-slaves 1", "num-other-sentinels 2") })
	s.await(func() bool {
		return strings.Contains(fmt.Sprint(s.Replica.Do("INFO", "replication")),
			"master_link_status:up")
	})
	return s
}

// see reports whether a Sentinel's view of the primary has all of these.
func (s *Sentinels) see(w *Server, wanted ...string) bool {
	s.t.Helper()
	view, _ := w.Do("SENTINEL", "MASTER", Master).(map[any]any)
	for _, field := range wanted {
		name, value, _ := strings.Cut(field, " ")
		if fmt.Sprint(view[name]) != value {
			return false
		}
	}
	return true
}

// AwaitFailover waits until all Sentinels name the replica as the primary.
func (s *Sentinels) AwaitFailover() {
	s.t.Helper()
	s.await(func() bool {
		for _, w := range s.Watchers {
			if !s.see(w, "port "+s.Replica.Port()) {
				return false
			}
		}
		return true
	})
}

func (s *Sentinels) await(done func() bool) {
	s.t.Helper()
	for deadline := time.Now().Add(startTimeout); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the sentinels do not come that far: %v\n%s",
				s.Watchers[0].Do("SENTINEL", "MASTER", Master), s.Watchers[0].Log())
		}
	}
}

// Redis is how the primary is reached.
func (s *Sentinels) Redis() config.Redis {
	r := s.Primary.Redis()
	r.Host, r.Port = "", ""
	var hosts []string
	for _, w := range s.Watchers {
		hosts = append(hosts, w.Addr())
	}
	r.Sentinels, r.Master = config.Hosts(strings.Join(hosts, ",")), Master
	r.SentinelPassword = config.NewSecret(s.password)
	return r
}
