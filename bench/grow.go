package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
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

// growths are the tables, by the names that -only takes.
var growths = []struct {
	name string
	make func(context.Context, options, *stack, *result) (table, error)
}{
	{"idle", idle}, {"routes", routes}, {"tags", tags}, {"entries", entries},
	{"lookups", lookups}, {"sidecars", sidecars},
}

func growthNames() (names []string) {
	for _, g := range growths {
		names = append(names, g.name)
	}
	return names
}

// grow fills the tables.
func grow(ctx context.Context, o options, s *stack, out io.Writer, r *result) error {
	for _, g := range growths {
		if len(o.only) > 0 && !slices.Contains(o.only, g.name) {
			continue
		}
		t, err := g.make(ctx, o, s, r)
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

// An idle sidecar is measured when its start is over, in the median of several starts.
const (
	idleStarts = 5
	idleAfter  = 5 * time.Second
)

// idle notes the memory of a sidecar that has nothing to do, and under load.
func idle(ctx context.Context, o options, s *stack, r *result) (t table, err error) {
	var started []server
	for i := range idleStarts {
		v, err := s.sidecar(ctx, fmt.Sprint("idle-", i), policies)
		if err != nil {
			return t, err
		}
		defer v.end()
		started = append(started, v)
	}
	select {
	case <-time.After(idleAfter):
	case <-ctx.Done():
		return t, ctx.Err()
	}
	var sizes []float64
	for _, v := range started {
		sizes = append(sizes, float64(v.resident())/(1<<20))
	}
	r.figure(figureIdle, spreadOf(sizes).median, "MiB")
	for _, v := range started[1:] {
		v.end()
	}
	v := started[0]
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

// Numbers of entries. The memory of an entry is measured between the first two.
const fewEntries, someEntries = 1000, 100_000

// entries compares hits all over few and many entries. The sidecar that is filled answers from its
// memory. Another one on the same Redis, that keeps nothing, reads each entry from there.
func entries(ctx context.Context, o options, s *stack, r *result) (table, error) {
	t := table{Name: "entries", Rows: []cell{{Kind: hit}, {Kind: fromRedis}}}
	filled, err := s.profiled(ctx, "entries", policies, "MEMORY_CACHE_SIZE=4GiB")
	if err != nil {
		return t, err
	}
	defer filled.end()
	reader, err := s.sidecar(ctx, "entries-redis", policies, "MEMORY_CACHE_SIZE=0")
	if err != nil {
		return t, err
	}
	defer reader.end()
	steps := slices.Compact([]int{fewEntries, min(someEntries, o.Entries), o.Entries})
	var weights []weight // after each step
	before := 0
	for _, n := range steps {
		if err := s.fill(ctx, filled, hit, before, n); err != nil {
			return t, err
		}
		before = n
		weights = append(weights, s.weigh(ctx, filled))
		for i, v := range []server{filled, reader} {
			row, err := s.anywhere(ctx, o, v, t.Rows[i].Kind, n)
			if err != nil {
				return t, err
			}
			row.Series = append(t.Rows[i].Series, row.Series...)
			t.Rows[i] = row
		}
	}
	if len(steps) == 1 {
		return t, nil
	}
	added := float64(steps[1] - steps[0])
	few, some := weights[0], weights[1]
	record, err := s.recordSize(ctx)
	heap := (some.heap - few.heap) / added
	r.figure("record in Redis, of an entry of 200 bytes", record, "bytes")
	r.figure("Redis's memory, per entry", (some.redis-few.redis)/added, "bytes")
	r.figure("live heap, per entry in memory", heap, "bytes")
	r.figure(figureHeap, heap-record, "bytes")
	r.figure("the same as the sidecar counts it", (some.memory-few.memory)/added-record, "bytes")
	return t, err
}

// keptLookups is how many look-ups the memory of one is measured by.
const keptLookups = 10_000

// lookups notes the memory of a look-up in Redis that a sidecar keeps.
func lookups(ctx context.Context, _ options, s *stack, r *result) (t table, err error) {
	v, err := s.profiled(ctx, "lookups", policies, "MEMORY_CACHE_SIZE=1GiB")
	if err != nil {
		return t, err
	}
	defer v.end()
	if err := s.fill(ctx, v, fromRedis, 0, keptLookups); err != nil {
		return t, err
	}
	before := s.weigh(ctx, v)
	if err := s.fill(ctx, v, fromRedis, 0, keptLookups); err != nil {
		return t, err
	}
	kept := (s.weigh(ctx, v).heap - before.heap) / keptLookups
	r.figure("live heap, per look-up in Redis that is kept", kept, "bytes")
	return t, nil
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

// anywhere measures hits all over the first n entries of the route for hits.
func (s *stack) anywhere(ctx context.Context, o options, v server, kind string, n int) (
	c cell, err error) {
	script, err := s.script(hit, n)
	if err != nil {
		return c, err
	}
	sub := v.subject(grouped(n)+" entries", "/"+hit+"/1")
	sub.script = script
	return s.row(ctx, o.form, kind, sub)
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

// sidecars compares one with ten on the same Redis, and with one that has as few connections as
// each of the ten.
func sidecars(ctx context.Context, o options, s *stack, r *result) (table, error) {
	t := table{Name: "sidecars"}
	path := "/redis/" + sizeName(2000)
	one := subject{name: "1 sidecar"}
	few := subject{connections: growthConnections / manySidecars}
	few.name = fmt.Sprintf("1 sidecar, %d connections", few.connections)
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
			few.urls, few.serving = one.urls, one.serving
			r.figure("Redis's CPU for 1 idle sidecar", s.idleLoad(ctx), "ms/s")
		}
		many.urls, many.serving = append(many.urls, v.url(path)), append(many.serving, v.process)
	}
	r.figure(fmt.Sprintf("Redis's CPU for %d idle sidecars", manySidecars), s.idleLoad(ctx), "ms/s")
	row, err := s.row(ctx, o.form, fromRedis, one, few, many)
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
