package jobscheck

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"sidecar/test/redisd"
)

// The figures of docs/jobs.md: one sidecar with four workers, one Redis, clients and API in the
// process of the test, all on one machine. make measure-jobs prints them.

// A bench is a sidecar before an API that notes when each order comes.
type bench struct {
	*world
	b    *testing.B
	mu   sync.Mutex
	came map[string]time.Time // by the name of the order
	news chan struct{}
}

func newBench(b *testing.B, env ...string) *bench {
	b.Helper()
	x := &bench{b: b, came: map[string]time.Time{}, news: make(chan struct{}, 100_000)}
	w := &world{t: b, redis: redisd.Start(b, redisd.AOF(*fsync))}
	w.policies = filepath.Join(b.TempDir(), "policies.yaml")
	x.world = w
	w.api = newAPI(b, func(rw http.ResponseWriter, r *http.Request) {
		var o order
		_ = json.NewDecoder(r.Body).Decode(&o)
		x.mu.Lock()
		x.came[o.Name] = time.Now()
		x.mu.Unlock()
		x.news <- struct{}{}
		rw.WriteHeader(http.StatusCreated)
	})
	content := "{version: 1, routes: [{name: once, match: POST /once, " +
		"job: {mode: always, max_pending: 0, max_pending_per_caller: 0}}]}"
	if err := os.WriteFile(w.policies, []byte(content), 0o600); err != nil {
		b.Fatal(err)
	}
	s := &sidecar{listen: "127.0.0.1:0", ops: "127.0.0.1:0"}
	w.sidecars = []*sidecar{s}
	w.start(s, env...)
	w.awaitRedis(s)
	return x
}

var pooled = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 100}}

// post submits an order and returns when it was accepted.
func (x *bench) post(name string) {
	x.send(http.MethodPost, "/once", name, http.StatusAccepted)
}

func (x *bench) send(method, path, name string, want int) {
	body, _ := json.Marshal(order{Name: name})
	if method == http.MethodGet {
		body = nil
	}
	req, err := http.NewRequestWithContext(
		x.b.Context(), method, x.sidecars[0].url()+path, bytes.NewReader(body))
	if err != nil {
		x.b.Error(err)
		return
	}
	req.Header.Set("Authorization", "Bearer "+name[:1])
	resp, err := pooled.Do(req)
	if err != nil {
		x.b.Error(err)
		return
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != want {
		x.b.Errorf("answered %d", resp.StatusCode)
	}
}

// pickups are the times from n POSTs, one each interval, to the API's receipt of them.
func (x *bench) pickups(n int, interval time.Duration) []time.Duration {
	began := make([]time.Time, n)
	var posting sync.WaitGroup
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		posting.Go(func() {
			began[i] = time.Now()
			x.post(fmt.Sprintf("a%d", i))
		})
	}
	posting.Wait()
	for range n {
		<-x.news
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	var took []time.Duration
	for i := range n {
		took = append(took, x.came[fmt.Sprintf("a%d", i)].Sub(began[i]))
	}
	slices.Sort(took)
	return took
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkPickup is the time from a POST to the API's receipt.
func BenchmarkPickup(b *testing.B) {
	for name, load := range map[string]struct {
		n        int
		interval time.Duration
	}{"idle": {40, 300 * time.Millisecond}, "100 a second": {1500, 10 * time.Millisecond}} {
		b.Run(name, func(b *testing.B) {
			x := newBench(b)
			for b.Loop() {
				took := x.pickups(load.n, load.interval)
				b.ReportMetric(milliseconds(took[len(took)/2]), "median-ms")
				b.ReportMetric(milliseconds(took[len(took)*99/100]), "p99-ms")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkIdle is the cost of a sidecar that has nothing to do.
func BenchmarkIdle(b *testing.B) {
	const seconds = 20
	for name, env := range map[string]string{
		"with workers": "JOBS_CONCURRENCY=4", "only enqueues": "JOBS_CONCURRENCY=0",
	} {
		b.Run(name, func(b *testing.B) {
			x := newBench(b, env)
			x.post("a")
			for b.Loop() {
				before, cpu := x.redis.Commands(), x.sidecars[0].CPU()
				time.Sleep(seconds * time.Second) // the time that is measured
				b.ReportMetric(float64(x.redis.Commands()-before)/seconds, "commands/s")
				used := x.sidecars[0].CPU() - cpu
				b.ReportMetric(100*used.Seconds()/seconds, "%CPU")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkAccepted is how many POSTs are accepted in the time of a bare loop of asynq's Enqueue,
// with the same number of clients. A POST that is an Enqueue and the sidecar's HTTP, and nothing
// else, would be at the floor: the HTTP is measured by a GET that is answered without Redis.
func BenchmarkAccepted(b *testing.B) {
	const turns = 8 // they take turns, so that neighbours disturb all of them
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d clients", clients), func(b *testing.B) {
			x := newBench(b, "JOBS_CONCURRENCY=0")
			x.post("warm")
			way := asynq.RedisClientOpt{Addr: x.redis.Addr(), PoolSize: 2 * clients}
			queue := asynq.NewClient(way)
			defer queue.Close()
			payload := []byte(strings.Repeat("x", 60))
			for b.Loop() {
				name := func(i int) string { return fmt.Sprintf("%c%d", 'a'+i%8, i) }
				var posts, gets, bare float64
				for range turns {
					posts += rate(clients, func(i int) { x.post(name(i)) }) / turns
					gets += rate(clients, func(i int) {
						x.send(http.MethodGet, "/_jobs/none", name(i), http.StatusNotFound)
					}) / turns
					bare += rate(clients, func(int) {
						_, err := queue.Enqueue(asynq.NewTask("once", payload), asynq.Queue("bare"))
						if err != nil {
							b.Error(err)
						}
					}) / turns
				}
				b.ReportMetric(posts, "posts/s")
				b.ReportMetric(bare, "enqueues/s")
				b.ReportMetric(gets, "gets/s")
				b.ReportMetric(posts/bare, "ratio")
				b.ReportMetric(1/(1+bare/gets), "floor-ratio")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// rate is how often clients call f in a second.
func rate(clients int, f func(i int)) float64 {
	const long = 500 * time.Millisecond
	var n atomic.Int64
	var all sync.WaitGroup
	began := time.Now()
	for range clients {
		all.Go(func() {
			for time.Since(began) < long {
				f(int(n.Add(1)))
			}
		})
	}
	all.Wait()
	return float64(n.Load()) / time.Since(began).Seconds()
}
