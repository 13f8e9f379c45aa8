package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/config"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// variables are the environment that names r. Secrets are in files.
func variables(t *testing.T, prefix string, r config.Redis) []string {
	t.Helper()
	env := []string{}
	add := func(name, value string) {
		if value != "" {
			env = append(env, prefix+name+"="+value)
		}
	}
	file := func(name string, s config.Secret) {
		if value, err := s.Value(); err == nil && value != "" {
			add(name+"_FILE", written(t, name, value+"\n"))
		}
	}
	add("HOST", r.Host)
	add("PORT", r.Port)
	add("SENTINEL_HOSTS", string(r.Sentinels))
	add("SENTINEL_MASTER", r.Master)
	add("CLUSTER_HOSTS", string(r.Cluster))
	file("PASSWORD", r.Password)
	file("SENTINEL_PASSWORD", r.SentinelPassword)
	if r.TLS {
		add("TLS", "true")
		add("TLS_CA_FILE", r.CAFile)
		add("TLS_CERT_FILE", r.CertFile)
		add("TLS_KEY_FILE", r.KeyFile)
	}
	return env
}

// startPair starts two sidecars before one API on the Redis of environ.
func startPair(t *testing.T, environ []string) *failover {
	t.Helper()
	f := &failover{t: t}
	api := f.api()
	for _, p := range []*process{&f.writer, &f.reader} {
		p.start(t, api, "available", environ...)
	}
	for _, p := range []process{f.writer, f.reader} {
		f.awaitHit(p)
	}
	return f
}

// during writes and reads for a while, and does something meanwhile.
func (f *failover) during(d time.Duration, do func()) {
	f.t.Helper()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.readAndWrite(d)
	}()
	do()
	<-ended
}

func TestASentinelFailoverToAReplicaThatIsBehindServesNothingStale(t *testing.T) {
	t.Parallel()
	s := redisd.StartSentinels(t, "geheim", redisd.NewCA(t).Host())
	f := startPair(t, variables(t, "REDIS_", s.Redis()))
	f.during(6*time.Second, func() { f.failOverBehind(s.Primary, s.Replica, s.AwaitFailover) })
	f.awaitHit(f.reader)
	f.enqueue(f.writer)
}

// failOverBehind kills a primary whose replica has not heard of its last writes. One resource is
// written for the last time before: the replica's value is old.
func (f *failover) failOverBehind(primary, replica *redisd.Server, await func()) {
	f.t.Helper()
	proc.Await(f.t, 20*time.Second, func() error {
		if cache := f.ask("GET", f.reader.url+"/quiet").
			Header.Get("Cache-Status"); !strings.HasPrefix(cache, "sidecar; hit") {
			return errors.New(cache)
		}
		return nil
	})
	proc.Await(f.t, 20*time.Second, func() error { // the replica has the hit
		if there, behind := offset(primary), offset(replica); behind < there {
			return fmt.Errorf("the replica is at %d of %d", behind, there)
		}
		return nil
	})
	replica.Do("CONFIG", "SET", "masterauth", "wrong")
	primary.Do("CLIENT", "KILL", "TYPE", "replica")
	if a := f.ask("PUT", f.writer.url+"/quiet"); a.StatusCode != http.StatusOK {
		f.t.Errorf("the last write: %d", a.StatusCode)
	}
	time.Sleep(staleness) // the bound for that write is over: each read below has to have it
	if there, behind := offset(primary), offset(replica); there <= behind {
		f.t.Errorf("the replica is at %d of %d: it is not behind", behind, there)
	}
	primary.Kill()
	ctx, stop := context.WithCancel(f.t.Context())
	var reading sync.WaitGroup
	reading.Go(func() {
		for ctx.Err() == nil {
			got, want := f.ask("GET", f.reader.url+"/quiet").Status, fmt.Sprint(f.quiet.Load())
			if got != want {
				f.t.Errorf("the answer is %s, after %s was acknowledged", got, want)
				return
			}
			time.Sleep(2 * time.Millisecond) // the pace of one reader
		}
	})
	await()
	time.Sleep(2 * time.Second) // of reads on the new primary
	stop()
	reading.Wait()
}

// offset is how far a server's replication has come.
func offset(s *redisd.Server) (n int64) {
	for line := range strings.Lines(fmt.Sprint(s.Do("INFO", "replication"))) {
		if _, err := fmt.Sscanf(line, "master_repl_offset:%d", &n); err == nil {
			return n
		}
	}
	return -1
}

// connectionsOf are the connections of sidecars to a server.
func connectionsOf(s *redisd.Server) (n int) {
	return strings.Count(fmt.Sprint(s.Do("CLIENT", "LIST")), " name=sidecar:")
}

func TestASentinelFailoverWhileTheOldPrimaryIsUpLetsGoOfIt(t *testing.T) {
	t.Parallel()
	s := redisd.StartSentinels(t, "", nil)
	f := startPair(t, variables(t, "REDIS_", s.Redis()))
	f.during(5*time.Second, func() {
		s.Watchers[0].Do("SENTINEL", "FAILOVER", redisd.Master)
		s.AwaitFailover()
	})
	f.awaitHit(f.reader)
	proc.Await(t, 5*time.Second, func() error {
		if n := connectionsOf(s.Primary); n > 0 {
			return fmt.Errorf("%d connections lead to the demoted server", n)
		}
		return nil
	})
}

func TestAClusterKeepsThePromiseWhileAShardFailsOverAndSlotsMove(t *testing.T) {
	t.Parallel()
	c := redisd.StartCluster(t)
	node, _ := c.Owner(cachekeys.NewNames("sidecar").Token(cachekeys.Named("quiet").Digest()))
	replica := c.AddReplica(node)
	r := c.Redis()
	other := c.Nodes[(node+1)%3]
	// one of three seeds answers
	r.Cluster = config.Hosts("127.0.0.1:1,127.0.0.1:2," + other.Addr())
	f := startPair(t,
		append(variables(t, "REDIS_", r), variables(t, "JOBS_REDIS_", redisd.Start(t).Redis())...))
	f.enqueue(f.writer)
	f.during(7*time.Second, func() {
		f.failOverBehind(c.Nodes[node], replica, func() { c.AwaitPrimary(replica) })
	})
	f.awaitHit(f.reader)
	c.Nodes[node] = replica

	var moved []int64
	f.during(2*time.Second, func() {
		for _, key := range c.Keys(t) {
			from, slot := c.Owner(key)
			if to := (from + 1) % 3; !slices.Contains(moved, slot) {
				c.Move(slot, from, to)
				moved = append(moved, slot)
			}
		}
	})
	f.awaitHit(f.reader)
	if len(moved) == 0 {
		t.Error("no slot was moved")
	}
}

// The users are as docs/redis.md has them: without CONFIG, databases and patterns of pub/sub, as on
// a managed Redis.
func TestJobsAreOnAnotherKindOfRedisThanTheCacheWithTheACLOfTheDocs(t *testing.T) {
	t.Parallel()
	cluster := redisd.StartCluster(t, redisd.TLS(redisd.NewCA(t).Host()))
	single := redisd.Start(t, redisd.Password("geheim"))
	tls := cluster.Nodes[0].Redis()
	tls.Host, tls.Port, tls.Cluster = "", "", cluster.Redis().Cluster
	for i, user := range aclsOfTheDocs(t) {
		for _, server := range append([]*redisd.Server{single}, cluster.Nodes...) {
			server.Do(append([]any{"ACL", "SETUSER", []string{"cache", "jobs"}[i]}, user...)...)
		}
	}
	named := func(prefix string, r config.Redis, user string) []string {
		r.Password = config.NewSecret("secret")
		return append(variables(t, prefix, r), prefix+"USERNAME="+user)
	}
	for name, env := range map[string][]string{
		"jobs on a Cluster": append(named("REDIS_", single.Redis(), "cache"),
			named("JOBS_REDIS_", tls, "jobs")...),
		"cache on a Cluster": append(named("REDIS_", tls, "cache"),
			named("JOBS_REDIS_", single.Redis(), "jobs")...),
	} {
		t.Run(name, func(t *testing.T) {
			f := &failover{t: t}
			f.writer.start(t, f.api(), "available", env...)
			f.awaitHit(f.writer)
			f.enqueue(f.writer)
			proc.Await(t, 10*time.Second, func() error {
				if strings.Contains(f.writer.status(t), "job store") {
					return nil
				}
				return errors.New("no advice yet")
			})
		})
	}
	for _, server := range append([]*redisd.Server{single}, cluster.Nodes...) {
		if log := server.Do("ACL", "LOG"); len(log.([]any)) > 0 {
			t.Errorf("Redis refused: %v", log)
		}
	}
}

// aclsOfTheDocs are the rules of the two users in docs/redis.md.
func aclsOfTheDocs(t *testing.T) (users [][]any) {
	t.Helper()
	content, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(
		"(?m)^redis-cli ACL SETUSER (?:cache|jobs) ((?:.*\\\\\n)*.*)$").
		FindAllStringSubmatch(string(content), -1) {
		rules := []any{"reset"}
		for _, rule := range strings.Fields(strings.NewReplacer("PREFIX", "sidecar", "\\\n", " ",
			"PASSWORD", "secret", "'", "").Replace(m[1])) {
			rules = append(rules, rule)
		}
		users = append(users, rules)
	}
	if len(users) != 2 {
		t.Fatalf("docs/redis.md has %d users", len(users))
	}
	return users
}

// status is /status.
func (p process) status(t *testing.T) string {
	t.Helper()
	resp, err := http.Get(p.ops + "/status")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestAManagedRedisThatForbidsINFOIsColderAndNeverWrong(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	server.Do("ACL", "SETUSER", "game", "on", ">secret", "~*", "&*", "+@all", "-@admin",
		"-@dangerous", "-client", "-select")
	r := server.Redis()
	r.Password = config.NewSecret("secret")
	f := startPair(t, append(variables(t, "REDIS_", r), "REDIS_USERNAME=game"))
	f.readAndWrite(2 * time.Second)
	f.enqueue(f.writer)
	if status := f.reader.status(t); !strings.Contains(status,
		"Redis does not answer INFO replication") {
		t.Errorf("/status does not say why it is colder: %s", status)
	}
}

func TestThePasswordOfTheJobStoreIsRotatedUnderLoad(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t, redisd.Config("user jobs on >first ~* &* +@all"))
	file := written(t, "password", "first\n")
	f := &failover{t: t}
	f.writer.start(t, f.api(), "available", append(variables(t, "REDIS_", redisd.Start(t).Redis()),
		"JOBS_REDIS_HOST="+server.Host(), "JOBS_REDIS_PORT="+server.Port(),
		"JOBS_REDIS_USERNAME=jobs", "JOBS_REDIS_PASSWORD_FILE="+file)...)
	f.enqueue(f.writer)
	server.Do("ACL", "SETUSER", "jobs", ">second")
	old := idsOf(server)
	if err := os.WriteFile(file, []byte("second\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	proc.Await(t, 20*time.Second, func() error {
		f.enqueue(f.writer) // each of them is accepted and done
		for id := range idsOf(server) {
			if old[id] {
				return errors.New("a connection of the old password is there")
			}
		}
		return nil
	})
	server.Do("ACL", "SETUSER", "jobs", "<first")
	f.enqueue(f.writer)
	if said := f.writer.log.String(); strings.Contains(said, "WRONGPASS") ||
		!strings.Contains(said, "a new password or certificate is in use") {
		t.Errorf("%s", said)
	}
}

func TestASidecarHoldsNoMoreConnectionsThanTheDocsSay(t *testing.T) {
	t.Parallel()
	cache, jobs := redisd.Start(t), redisd.Start(t)
	f := &failover{t: t}
	f.writer.start(t, f.api(), "available",
		append(append(variables(t, "REDIS_", cache.Redis()),
			variables(t, "JOBS_REDIS_", jobs.Redis())...),
			"REDIS_POOL_SIZE=3", "JOBS_REDIS_POOL_SIZE=2")...)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	var clients sync.WaitGroup
	for i := range 12 {
		clients.Go(func() {
			for ctx.Err() == nil {
				switch i % 4 {
				case 0:
					f.ask("PUT", f.writer.url+"/value")
				case 1:
					f.enqueue(f.writer)
				default:
					f.ask("GET", f.writer.url+"/value")
				}
			}
		})
	}
	most := 0
	for ctx.Err() == nil {
		n := 0
		for _, server := range []*redisd.Server{cache, jobs} {
			for line := range strings.Lines(fmt.Sprint(server.Do("CLIENT", "LIST"))) {
				if !strings.Contains(line, "cmd=client|list") { // the test's own
					n++
				}
			}
		}
		most = max(most, n)
	}
	clients.Wait()
	if most > 3+2+5 || most < 3+2+2 {
		t.Errorf("%d connections at once, want at most %d", most, 3+2+5)
	}
	if status := f.writer.status(t); !strings.Contains(status, `"pool_size": 3`) ||
		!strings.Contains(status, `"pool_size": 2`) {
		t.Errorf("%s", status)
	}
}

// idsOf are the ids of the sidecars' connections to a server.
func idsOf(s *redisd.Server) map[string]bool {
	ids := map[string]bool{}
	for line := range strings.Lines(fmt.Sprint(s.Do("CLIENT", "LIST"))) {
		if id, _, _ := strings.Cut(line, " "); strings.Contains(line, " name=sidecar:") {
			ids[id] = true
		}
	}
	return ids
}

// enqueue has a job done.
func (f *failover) enqueue(p process) {
	f.t.Helper()
	resp, err := http.Post(p.url+"/craft", "application/json", strings.NewReader("{}"))
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct {
		URL string `json:"status_url"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil ||
		resp.StatusCode != http.StatusAccepted {
		f.t.Fatalf("%s: %v\n%s", resp.Status, err, p.log)
	}
	proc.Await(f.t, 20*time.Second, func() error {
		resp, err := http.Get(p.url + doc.URL)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil || !strings.Contains(string(body), `"succeeded"`) {
			return fmt.Errorf("%s, %v", body, err)
		}
		return nil
	})
}
