// Package redisd starts real redis-server processes for tests: each on a free loopback port, with a
// directory of its own.
package redisd

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// startTimeout bounds the wait for a server that starts.
const startTimeout = 20 * time.Second

// A Server is a redis-server. Its methods fail the test on errors; they are not safe for concurrent
// use but for Addr.
type Server struct {
	t        testing.TB
	dir      string
	port     int
	password string
	config   []string // lines of redis.conf
	tls      *Files   // its certificate; nil: no TLS
	sentinel bool
	process  *exec.Cmd
	exited   chan struct{}
}

// An Option changes how a server is started.
type Option func(*Server)

// Password makes the server want this password.
func Password(p string) Option {
	return func(s *Server) { s.password = p }
}

// Config adds lines as they stand in redis.conf.
func Config(lines ...string) Option {
	return func(s *Server) { s.config = append(s.config, lines...) }
}

// TLS makes the server speak TLS alone, with the certificate in f. It wants a client certificate of
// the same CA, unless Config says otherwise.
func TLS(f *Files) Option { return func(s *Server) { s.tls = f } }

// AOF keeps an append-only file, synced as fsync says: "always" or "everysec".
func AOF(fsync string) Option { return Config("appendonly yes", "appendfsync "+fsync) }

// Start starts a server that is stopped when the test ends.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s, err := start(t.TempDir(), opts)
	s.t = t
	t.Cleanup(func() { s.end(syscall.SIGKILL) })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// start starts a server in dir. The caller ends it, also after an error.
func start(dir string, opts []Option) (*Server, error) {
	s := &Server{dir: dir}
	for _, o := range opts {
		o(s)
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		return s, errors.New(
			"redis-server is missing: install Debian's redis-server, or run make test")
	}
	var err error
	for range 5 { // the port may be taken between the look and the start
		if s.port, err = freePort(); err != nil {
			return s, err
		}
		if err = s.launch(); err == nil {
			return s, nil
		}
	}
	return s, fmt.Errorf("redis-server does not start: %w\n%s", err, s.Log())
}

// Ports are outside the range that the kernel takes for clients: a server that restarts finds its
// port free. So is that of a cluster's bus, 10000 above it.
const (
	firstPort = 10_000
	lastPort  = 22_000
)

func freePort() (port int, err error) {
	for range 100 {
		port = firstPort + rand.IntN(lastPort-firstPort)
		var l net.Listener
		if l, err = net.Listen("tcp",
			net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}

// launch starts the process and waits until it answers, if only with an error that says that it is
// there.
func (s *Server) launch() error {
	conf := filepath.Join(s.dir, "redis.conf")
	if err := s.configure(conf); err != nil {
		return err
	}
	s.process = exec.Command("redis-server", conf)
	if s.sentinel {
		s.process.Args = append(s.process.Args, "--sentinel")
	}
	s.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.process.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	s.exited = exited
	go func(p *exec.Cmd) { // ends with the process, which end kills
		_ = p.Wait()
		close(exited)
	}(s.process)
	return s.await()
}

// configure writes redis.conf. A Sentinel's holds its state: it is written once for each port.
func (s *Server) configure(conf string) error {
	lines := []string{
		"bind 127.0.0.1", "dir " + s.dir, "logfile " + filepath.Join(s.dir, "redis.log"),
	}
	if s.sentinel {
		if written, _ := os.ReadFile(conf); strings.Contains(string(written),
			"port "+s.Port()+"\n") {
			return nil
		}
	} else {
		lines = append(lines, `save ""`, "enable-debug-command local")
	}
	if s.tls == nil {
		lines = append(lines, "port "+s.Port())
	} else {
		lines = append(lines, "port 0", "tls-port "+s.Port(), "tls-cert-file "+s.tls.Cert,
			"tls-key-file "+s.tls.Key, "tls-ca-cert-file "+s.tls.CA, "tls-replication yes",
			"tls-cluster yes")
	}
	lines = append(lines, s.config...)
	if s.password != "" {
		lines = append(lines, "requirepass "+s.password)
	}
	return os.WriteFile(conf, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

func (s *Server) await() error {
	for deadline := time.Now().Add(startTimeout); time.Now().
		Before(deadline); time.Sleep(5 * time.Millisecond) {
		select {
		case <-s.exited:
			return errors.New("redis-server ended")
		default:
		}
		if s.answers() {
			return nil
		}
	}
	return errors.New("redis-server does not answer")
}

func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if s.tls != nil {
		conn = tls.Client(conn, s.tls.Config())
	}
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	reply := make([]byte, 64)
	n, err := conn.Read(reply)
	return err == nil &&
		(strings.HasPrefix(string(reply[:n]), "+PONG") ||
			strings.HasPrefix(string(reply[:n]), "-NOAUTH"))
}

// Addr is host:port. It stays the same over restarts.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", s.Port()) }

// Host is the server's host.
func (s *Server) Host() string { return "127.0.0.1" }

// Port is the server's port.
func (s *Server) Port() string { return strconv.Itoa(s.port) }

// Password is the server's password; "" for none.
func (s *Server) Password() string { return s.password }

// Dir is where the server keeps its files.
func (s *Server) Dir() string { return s.dir }

// Log is the server's log.
func (s *Server) Log() string {
	content, _ := os.ReadFile(filepath.Join(s.dir, "redis.log"))
	return string(content)
}

// Client returns a client for the test's own commands. It is closed when the test ends.
func (s *Server) Client() *redis.Client {
	c := redis.NewClient(s.options())
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *Server) options() *redis.Options {
	o := &redis.Options{Addr: s.Addr(), Password: s.password, MaxRetries: -1}
	if s.tls != nil {
		o.TLSConfig = s.tls.Config()
	}
	return o
}

// Do sends one command and returns its reply; an error reply fails the test.
func (s *Server) Do(args ...any) any {
	s.t.Helper()
	c := redis.NewClient(s.options())
	defer c.Close()
	reply, err := c.Do(s.t.Context(), args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.t.Fatalf("redis: %v: %v", args[0], err)
	}
	return reply
}

// Freeze stops the process without ending it: connections stay open, nothing is answered.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on. It then works through everything that it was sent meanwhile.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

// Kill ends the process at once.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop ends the process as an operator would.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Restart starts a server that has ended, on the same port, with the data that it persisted.
func (s *Server) Restart() {
	s.t.Helper()
	s.end(syscall.SIGKILL)
	if err := s.launch(); err != nil {
		s.t.Fatalf("%v\n%s", err, s.Log())
	}
}

// RestartEmpty is Restart without any data.
func (s *Server) RestartEmpty() {
	s.t.Helper()
	s.end(syscall.SIGKILL)
	for _, pattern := range []string{"*.rdb", "appendonlydir"} {
		found, _ := filepath.Glob(filepath.Join(s.dir, pattern))
		for _, f := range found {
			if err := os.RemoveAll(f); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	s.Restart()
}

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.process.Process.Signal(sig); err != nil {
		s.t.Fatalf("redis-server: %v: %v", sig, err)
	}
}

// end ends the process, if it runs, and waits for it.
func (s *Server) end(sig syscall.Signal) {
	if s.exited == nil {
		return
	}
	_ = s.process.Process.Signal(sig)
	_ = s.process.Process.Signal(syscall.SIGCONT)
	select {
	case <-s.exited:
	case <-time.After(startTimeout):
		_ = s.process.Process.Kill()
		<-s.exited
	}
}

// Calls returns how often each command was called since the server started, by its lower-case name.
func (s *Server) Calls() map[string]int {
	s.t.Helper()
	info, ok := s.Do("INFO", "commandstats").(string)
	if !ok {
		s.t.Fatal("INFO commandstats is no text")
	}
	calls := map[string]int{}
	for line := range strings.Lines(info) {
		var name string
		var n int
		line = strings.TrimPrefix(line, "cmdstat_")
		if name, line, ok = strings.Cut(line, ":calls="); !ok {
			continue
		}
		if _, err := fmt.Sscanf(line, "%d,", &n); err == nil {
			calls[name] = n
		}
	}
	return calls
}

// Commands is how many commands the server has executed since it started.
func (s *Server) Commands() int {
	s.t.Helper()
	total := 0
	for _, n := range s.Calls() {
		total += n
	}
	return total
}

// SetPassword changes the password of a running server, or takes it away where p is "". Connections
// that are open stay so.
func (s *Server) SetPassword(p string) {
	s.t.Helper()
	s.Do("CONFIG", "SET", "requirepass", p)
	s.password = p
}

// SetCertificate gives a running server with TLS another certificate, for new connections.
func (s *Server) SetCertificate(f *Files) {
	s.t.Helper()
	s.Do("CONFIG", "SET", "tls-cert-file", f.Cert, "tls-key-file", f.Key)
}
