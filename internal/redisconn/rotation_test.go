package redisconn_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/config"
	"sidecar/internal/redisconn"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// A secretDir is a directory of secrets as Kubernetes mounts it: each file is a symbolic link into
// ..data, which is a link to the present version.
type secretDir struct {
	t   *testing.T
	dir string
	n   int
}

func newSecretDir(t *testing.T, files map[string]string) *secretDir {
	t.Helper()
	d := &secretDir{t: t, dir: t.TempDir()}
	for name := range files {
		if err := os.Symlink(filepath.Join("..data", name), d.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	d.swap(files)
	return d
}

func (d *secretDir) path(name string) string { return filepath.Join(d.dir, name) }

// swap puts a new version in the place of the present one, as one step.
func (d *secretDir) swap(files map[string]string) {
	d.t.Helper()
	d.n++
	version := fmt.Sprint("..", d.n)
	err := os.Mkdir(d.path(version), 0o700)
	for name, content := range files {
		err = errors.Join(err,
			os.WriteFile(filepath.Join(d.path(version), name), []byte(content), 0o600))
	}
	err = errors.Join(err, os.Symlink(version, d.path("..new")),
		os.Rename(d.path("..new"), d.path("..data")))
	if err != nil {
		d.t.Fatal(err)
	}
}

func content(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// use runs commands side by side until stop is called, which returns the errors.
func use(t *testing.T, c *redisconn.Conn) (stop func() []error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var users sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for range 4 {
		users.Go(func() {
			for ctx.Err() == nil {
				if err := set(t.Context(), c, nil); err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	return func() []error { cancel(); users.Wait(); return errs }
}

// clientsOf are the connections to a server, but for those of the test itself.
func clientsOf(t *testing.T, s *redisd.Server, want func(line string) bool) (n int) {
	t.Helper()
	for line := range strings.Lines(fmt.Sprint(s.Do("CLIENT", "LIST"))) {
		if strings.Contains(line, "name=game:pod:cache") && want(line) {
			n++
		}
	}
	return n
}

func labelled(t *testing.T, r config.Redis) *redisconn.Conn {
	t.Helper()
	c, err := redisconn.New(redisconn.Options{
		Name: "cache", Label: "game:pod:cache", Redis: r, Breaker: patient, Names: testNames,
		Greet: redisconn.Primary{},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	probing(t, c)
	awaitHealthy(t, c)
	return c
}

func TestAPasswordIsRotatedUnderTrafficWithoutAnError(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t, redisd.Config("user game on >first ~* &* +@all"))
	files := newSecretDir(t, map[string]string{"password": "first"})
	c := labelled(t,
		load(t, "REDIS_HOST="+server.Host(), "REDIS_PORT="+server.Port(), "REDIS_USERNAME=game",
			"REDIS_PASSWORD_FILE="+files.path("password")).Redis)
	sub := c.Client().Subscribe(t.Context(), "channel") // as of the pushes, and asynq's
	defer sub.Close()
	proc.Await(t, 10*time.Second, func() error { return sub.Ping(t.Context()) })
	old := map[string]bool{}
	stop := use(t, c)
	clientsOf(t, server, func(line string) bool { old[idOf(line)] = true; return true })

	// The file is first: the server does not know the new password yet.
	files.swap(map[string]string{"password": "second"})
	proc.Await(t, 10*time.Second, func() error {
		if c.Unrenewed() == "" {
			return errors.New("the new password was not tried")
		}
		return nil
	})
	server.Do("ACL", "SETUSER", "game", ">second", "<first")
	proc.Await(t, 20*time.Second, func() error {
		if n := clientsOf(t, server, func(line string) bool { return old[idOf(line)] }); n > 0 {
			return fmt.Errorf("%d connections of the old password", n)
		}
		return nil
	})
	if errs := stop(); len(errs) > 0 {
		t.Errorf("%d errors, the first: %v", len(errs), errs[0])
	}
	if why := c.Unrenewed(); why != "" || c.Healthy() != nil || len(old) < 2 {
		t.Errorf("%q, %v, %d old connections", why, c.Healthy(), len(old))
	}
}

func TestAPasswordThatChangesOnTheServerFirstIsTakenFromItsFile(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t, redisd.Config("user game on >first ~* &* +@all"))
	files := newSecretDir(t, map[string]string{"password": "first"})
	c := labelled(t,
		load(t, "REDIS_HOST="+server.Host(), "REDIS_PORT="+server.Port(), "REDIS_USERNAME=game",
			"REDIS_PASSWORD_FILE="+files.path("password")).Redis)
	server.Do("ACL", "SETUSER", "game", ">second", "<first")
	server.Do("CLIENT", "KILL", "USER", "game")
	awaitFault(t, c, "REDIS_PASSWORD")
	files.swap(map[string]string{"password": "second"})
	awaitHealthy(t, c)
}

func TestCertificatesAreRotatedUnderTrafficWithoutAnError(t *testing.T) {
	t.Parallel()
	ca := redisd.NewCA(t)
	server := redisd.Start(t, redisd.TLS(ca.Host()))
	version := func(f *redisd.Files) map[string]string {
		return map[string]string{
			"ca": content(t, f.CA), "cert": content(t, f.Cert), "key": content(t, f.Key),
		}
	}
	files := newSecretDir(t, version(ca.Host()))
	c := labelled(t,
		load(t, "REDIS_HOST="+server.Host(), "REDIS_PORT="+server.Port(), "REDIS_TLS=true",
			"REDIS_TLS_CA_FILE="+files.path("ca"), "REDIS_TLS_CERT_FILE="+files.path("cert"),
			"REDIS_TLS_KEY_FILE="+files.path("key")).Redis)
	old := map[string]bool{}
	stop := use(t, c)
	clientsOf(t, server, func(line string) bool { old[idOf(line)] = true; return true })
	half := version(ca.Host())
	half["key"] = "-----BEGIN EC PRIVATE KEY-----\n"
	files.swap(half)
	proc.Await(t, 10*time.Second, func() error {
		if !strings.Contains(c.Unrenewed(), "REDIS_TLS_KEY_FILE") {
			return fmt.Errorf("the faulty key is not named: %q", c.Unrenewed())
		}
		return nil
	})
	files.swap(version(ca.Host()))
	proc.Await(t, 20*time.Second, func() error {
		if n := clientsOf(t, server, func(line string) bool { return old[idOf(line)] }); n > 0 {
			return fmt.Errorf("%d connections of the old certificate", n)
		}
		return nil
	})
	if errs := stop(); len(errs) > 0 || len(old) == 0 {
		t.Errorf("%d errors, the first: %v; %d old connections",
			len(errs), errs[:min(1, len(errs))], len(old))
	}
}

// idOf is a connection's id in CLIENT LIST.
func idOf(line string) string {
	id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
	return id
}

func load(t *testing.T, environ ...string) config.Config {
	t.Helper()
	c, err := config.Load(environ, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestThePoolIsWhatWasConfigured(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	r := server.Redis()
	r.PoolSize = 3
	c := labelled(t, r)
	most := 0
	var users sync.WaitGroup
	for range 30 {
		users.Go(func() {
			for range 20 {
				err := c.Do(t.Context(), nil, "test",
					func(ctx context.Context, r redis.UniversalClient) error {
						p := r.Pipeline()
						p.Set(ctx, "k", "v", 0)
						p.Get(ctx, "k")
						_, err := p.Exec(ctx)
						return errors.Join(err, r.Get(ctx, "k").Err())
					})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { users.Wait(); close(done) }()
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
			most = max(most, clientsOf(t, server, func(string) bool { return true }))
		}
	}
	if s := c.Stats(); most != 3 || s.PoolSize != 3 || s.TotalConns != 3 || s.OpenConns != 3 {
		t.Errorf("%d connections at once, want 3; %+v", most, s)
	}
}
