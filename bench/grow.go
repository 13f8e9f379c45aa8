package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// A table shows how the cost of some work grows. The names of the series are its columns.
type table struct {
	Name string `json:"name"`
	Rows []cell `json:"rows"`
}

// A figure is one number of the table about memory.
type figure struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// growthConnections are those of all tables.
const growthConnections = 32

// Figures that have a goal.
const (
	figureIdle = "resident, idle"
	figureHeap = "of that beside the record"
)

// fillBody is how long the bodies are that the origin answers to any path.
const fillBody = 200

// grow fills the tables.
func grow(ctx context.Context, o options, s *stack, out io.Writer, r *result) error {
	for _, make := range []func(context.Context, options, *stack, *result) (table, error){
		idle, routes, tags, entries, sidecars,
	} {
		t, err := make(ctx, o, s, r)
		if err != nil {
			return err
		}
		if t.Name != "" {
			r.Tables = append(r.Tables, t)
			fmt.Fprint(out, t.text())
		}
	}
	return nil
}

// row measures servers on the same work.
func (s *stack) row(ctx context.Context, f form, kind string, subjects ...subject) (
	c cell, err error) {
	c = cell{Kind: kind, Connections: growthConnections}
	c.Series, err = s.turns(ctx, kind, subjects, growthConnections, f)
	return c, err
}

// idle notes the memory of a sidecar that has nothing to do, and under load.
func idle(ctx context.Context, o options, s *stack, r *result) (t table, err error) {
	v, err := s.sidecar(ctx, "idle", policies)
	if err != nil {
		return t, err
	}
	r.figure(figureIdle, float64(v.resident())/(1<<20), "MiB")
	path := "/hit/" + sizeName(2000)
	if err := s.cached(ctx, v, hit, path); err != nil {
		return t, err
	}
	for kind, path := range map[string]string{hit: path, passThrough: "/pass/" + sizeName(2000)} {
		if _, err := s.turn(ctx, kind, v.subject("idle", path), 256, o.Time); err != nil {
			return t, err
		}
	}
	r.figure("resident, after 256 connections", float64(v.resident())/(1<<20), "MiB")
	v.end()
	return t, nil
}

// Numbers of routes. The requests are for the last one of each kind, by its place among ten.
const (
	fewRoutes, manyRoutes  = 10, 10_000
	lastHit, lastFromRedis = 1, 2
)

func routes(ctx context.Context, o options, s *stack, _ *result) (table, error) {
	t := table{Name: "routes"}
	var servers []server
	for _, n := range []int{fewRoutes, manyRoutes} {
		v, err := s.sidecar(ctx, fmt.Sprint("routes-", n), manyPolicies(n))
		if err != nil {
			return t, err
		}
		defer v.end()
		servers = append(servers, v)
	}
	for _, kind := range kinds {
		place := map[string]int{hit: lastHit, fromRedis: lastFromRedis}[kind]
		var subjects []subject
		for i, n := range []int{fewRoutes, manyRoutes} {
			path := fmt.Sprintf("/%s/%d/%s", kind, n-10+place, sizeName(goalBody))
			if err := s.cached(ctx, servers[i], kind, path); err != nil {
				return t, err
			}
			subjects = append(subjects, servers[i].subject(grouped(n)+" routes", path))
		}
		row, err := s.row(ctx, o.form, kind, subjects...)
		if err != nil {
			return t, err
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// manyPolicies are n routes: of ten, two are for hits from memory, one is for hits from Redis, and
// the others are writes. A policies file has room for no more than 10,000.
func manyPolicies(n int) string {
	var b strings.Builder
	b.WriteString(policiesHead)
	const (
		read = "  - match: GET /%s/%d/{id}\n" +
			"    cache: {ttl: 1h, scope: private, tags: [\"c%d:{id}\"]%s}\n"
		write = "  - {match: 'PUT /write/%d/{id}', invalidate: [\"c%d:{id}\"]}\n"
	)
	for i := range n {
		switch i % 10 {
		case 0, lastHit:
			fmt.Fprintf(&b, read, hit, i, i, ", memory: 1h")
		case lastFromRedis:
			fmt.Fprintf(&b, read, fromRedis, i, i, "")
		default:
			fmt.Fprintf(&b, write, i, i-i%10)
		}
	}
	return b.String()
}

// tags compares entries with one tag and with fifty of the same body.
func tags(ctx context.Context, o options, s *stack, _ *result) (table, error) {
	t := table{Name: "tags"}
	const route = "  - match: GET /%s/%s/{id}\n" +
		"    cache: {ttl: 1h, scope: private, tags: [%s], memory: %s}\n"
	policies := policiesHead
	for kind, memory := range map[string]string{hit: "1h", fromRedis: "off"} {
		policies += fmt.Sprintf(route, kind, "one", `"list"`, memory)
		const fromBody = `"character:{response.body.data.#.id}"`
		policies += fmt.Sprintf(route, kind, "many", fromBody, memory)
	}
	v, err := s.sidecar(ctx, "tags", policies)
	if err != nil {
		return t, err
	}
	defer v.end()
	for _, kind := range []string{hit, fromRedis} {
		var subjects []subject
		for _, c := range []struct{ label, path string }{
			{"1 tag", "/" + kind + "/one/list"},
			{fmt.Sprint(listed, " tags"), "/" + kind + "/many/list"},
		} {
			if err := s.cached(ctx, v, kind, c.path); err != nil {
				return t, err
			}
			subjects = append(subjects, v.subject(c.label, c.path))
		}
		row, err := s.row(ctx, o.form, kind, subjects...)
		if err != nil {
			return t, err
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

const fewEntries = 1000

// entries compares hits all over few and many entries. The many are added to a sidecar and a Redis
// that were measured with the few.
func entries(ctx context.Context, o options, s *stack, r *result) (table, error) {
	t := table{Name: "entries"}
	v, err := s.profiled(ctx, "entries", policies, "MEMORY_CACHE_SIZE=4GiB")
	if err != nil {
		return t, err
	}
	defer v.end()
	rows := map[string]*cell{}
	var weights []weight // after each row
	for _, n := range []int{fewEntries, max(fewEntries, o.Entries)} {
		for _, kind := range []string{hit, fromRedis} {
			row, err := s.anywhere(ctx, o, v, kind, n)
			if err != nil {
				return t, err
			}
			if rows[kind] == nil {
				rows[kind] = &row
			} else {
				rows[kind].Series = append(rows[kind].Series, row.Series...)
			}
			// once more: a look-up that finds an entry in Redis is kept
			if err := s.fill(ctx, v, kind, n); err != nil {
				return t, err
			}
			weights = append(weights, s.weigh(ctx, v))
		}
	}
	t.Rows = []cell{*rows[hit], *rows[fromRedis]}
	added := float64(o.Entries - fewEntries)
	if added <= 0 {
		return t, nil
	}
	few, inMemory, inRedis := weights[1], weights[2], weights[3]
	record, err := s.recordSize(ctx)
	heap := (inMemory.heap - few.heap) / added
	r.figure("record in Redis, of an entry of 200 bytes", record, "bytes")
	r.figure("Redis's memory, per entry", (inRedis.redis-few.redis)/added/2, "bytes")
	r.figure("live heap, per entry in memory", heap, "bytes")
	r.figure(figureHeap, heap-record, "bytes")
	counted := (inMemory.memory - few.memory) / added
	r.figure("the same as the sidecar counts it", counted-record, "bytes")
	kept := (inRedis.heap - inMemory.heap) / added
	r.figure("live heap, per look-up in Redis that is kept", kept, "bytes")
	return t, err
}

// recordSize is the length of the record of one of the entries.
func (s *stack) recordSize(ctx context.Context) (float64, error) {
	keys, _, err := s.client.Scan(ctx, 0, "*:e:*", 1000).Result()
	if err != nil || len(keys) == 0 {
		return 0, fmt.Errorf("no entry in Redis: %w", err)
	}
	length, err := s.client.StrLen(ctx, keys[0]).Result()
	return float64(length), err
}

// anywhere measures hits of one kind all over the first n entries.
func (s *stack) anywhere(ctx context.Context, o options, v server, kind string, n int) (
	c cell, err error) {
	if err := s.fill(ctx, v, kind, n); err != nil {
		return c, err
	}
	script, err := s.script(kind, n)
	if err != nil {
		return c, err
	}
	sub := v.subject(grouped(n)+" entries", "/"+kind+"/1")
	sub.script = script
	return s.row(ctx, o.form, kind, sub)
}

// fillers is how many clients fill the cache at once.
const fillers = 16

// fill asks for the first n entries until they are all in the cache.
func (s *stack) fill(ctx context.Context, v server, kind string, n int) error {
	var clients sync.WaitGroup
	errs := make(chan error, fillers)
	for first := range fillers {
		clients.Go(func() {
			for id := first + 1; id <= n && ctx.Err() == nil; id += fillers {
				if _, _, err := get(v.url(fmt.Sprintf("/%s/%d", kind, id))); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	clients.Wait()
	close(errs)
	if err := <-errs; err != nil {
		return err
	}
	return s.cached(ctx, v, kind, fmt.Sprintf("/%s/%d", kind, n))
}

// A weight is the memory that entries take, in bytes.
type weight struct{ heap, memory, redis float64 }

func (s *stack) weigh(ctx context.Context, v server) (w weight) {
	info, _ := s.client.InfoMap(ctx, "memory").Result()
	_, _ = fmt.Sscan(info["Memory"]["used_memory"], &w.redis)
	w.memory = metric(v.ops, "sidecar_memory_bytes")
	for range 2 { // pools keep what they have for one collection
		_, _, _ = get(v.profiles + "heap?gc=1")
	}
	w.heap = metric(v.ops, "go_memstats_heap_alloc_bytes")
	return w
}

// together, ten sidecars share the connections that one has for itself.
const manySidecars = 10

// sidecars compares one with ten on the same Redis.
func sidecars(ctx context.Context, o options, s *stack, r *result) (table, error) {
	t := table{Name: "sidecars"}
	path := "/redis/" + sizeName(2000)
	one := subject{name: "1 sidecar"}
	many := subject{name: fmt.Sprint(manySidecars, " sidecars")}
	for i := range manySidecars {
		v, err := s.sidecar(ctx, fmt.Sprint("sidecar-", i), policies)
		if err != nil {
			return t, err
		}
		defer v.end()
		if err := s.cached(ctx, v, fromRedis, path); err != nil {
			return t, err
		}
		if i == 0 {
			one.urls, one.serving = []string{v.url(path)}, []*process{v.process}
			r.figure("Redis's CPU for 1 idle sidecar", s.idleLoad(ctx), "ms/s")
		}
		many.urls, many.serving = append(many.urls, v.url(path)), append(many.serving, v.process)
	}
	r.figure(fmt.Sprintf("Redis's CPU for %d idle sidecars", manySidecars), s.idleLoad(ctx), "ms/s")
	row, err := s.row(ctx, o.form, fromRedis, one, many)
	t.Rows = []cell{row}
	return t, err
}

// idleLoad is the CPU of Redis while nobody asks, in milliseconds a second.
func (s *stack) idleLoad(ctx context.Context) float64 {
	const length = 2 * time.Second
	before := cpu(s.redis)
	select {
	case <-time.After(length):
	case <-ctx.Done():
	}
	return round(float64((cpu(s.redis) - before).Microseconds()) / 1000 / length.Seconds())
}
