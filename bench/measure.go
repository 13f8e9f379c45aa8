package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// A cell is one kind of work, with one number of connections and one size of bodies.
type cell struct {
	Kind        string   `json:"kind"`
	Connections int      `json:"connections"`
	Body        int      `json:"body"`
	Changing    bool     `json:"changing,omitempty"` // each request is for another target
	Series      []series `json:"series"`
}

// The names of the subjects that are no peers.
const (
	sidecarName = "sidecar"
	directName  = "direct" // to the API, without any proxy
)

// measure measures everything that o asks for. It reports its progress to out.
func measure(ctx context.Context, o options, out io.Writer) (*result, error) {
	for _, need := range []string{"wrk", "redis-server"} {
		if _, err := exec.LookPath(need); err != nil {
			return nil, fmt.Errorf("%w: apt-get install %s", err, need)
		}
	}
	ps, err := newProcesses() // for the binaries
	if err != nil {
		return nil, err
	}
	defer ps.stop()
	if o.sidecar == "" {
		o.sidecar = filepath.Join(ps.dir, "sidecar")
		if err := build(ctx, o.module, o.sidecar); err != nil {
			return nil, err
		}
	}
	profiled := ""
	if o.tables || o.profile {
		profiled = filepath.Join(ps.dir, "profiled")
		if err := build(ctx, o.module, profiled, "profile"); err != nil {
			return nil, err
		}
	}
	r := &result{
		Date: time.Now().UTC().Format(time.DateOnly), Form: o.form,
		Machine: thisMachine(), Versions: versions(),
	}
	for _, part := range []struct {
		wanted bool
		run    func(context.Context, options, *stack, io.Writer, *result) error
	}{{!o.skipCells, compare}, {o.tables, grow}, {o.profile, profile}} {
		if !part.wanted {
			continue
		}
		s, err := newStack(ctx, o.sidecar, profiled)
		if err == nil {
			err = part.run(ctx, o, s, out, r)
			s.close()
		}
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// compare measures the sidecar beside its peers.
func compare(ctx context.Context, o options, s *stack, out io.Writer, r *result) error {
	own, err := s.sidecar(ctx, sidecarName, policies)
	if err != nil {
		return err
	}
	peers := s.startPeers(ctx, o.Kinds)
	r.Missing = s.missing
	for _, m := range s.missing {
		fmt.Fprintln(out, "left out:", m)
	}
	for _, kind := range o.Kinds {
		for _, size := range o.Bodies {
			for _, connections := range o.Connections {
				c := cell{Kind: kind, Connections: connections, Body: size}
				subjects, err := s.subjects(ctx, own, peers, kind, size)
				if err != nil {
					return err
				}
				if c.Series, err = s.turns(ctx, kind, subjects, connections, o.form); err != nil {
					return err
				}
				r.Cells = append(r.Cells, c)
				fmt.Fprint(out, c.text())
			}
		}
	}
	for _, kind := range changingKinds {
		if !slices.Contains(o.Kinds, kind) {
			continue
		}
		c, err := s.changing(ctx, kind, o.form, own, peers)
		if err != nil {
			return err
		}
		r.Cells = append(r.Cells, c)
		fmt.Fprint(out, c.text())
	}
	return nil
}

// changingKinds are the kinds of work that are measured with changing targets too.
var changingKinds = []string{hit, passThrough}

// changing measures requests each of which is for another target than the one before. wrk repeats a
// request otherwise.
func (s *stack) changing(ctx context.Context, kind string, f form, own server,
	started map[string]server) (c cell, err error) {
	c = cell{Kind: kind, Connections: growthConnections, Body: fillBody, Changing: true}
	script, err := s.script(kind, fewEntries)
	if err != nil {
		return c, err
	}
	servers := []server{own}
	subjects := []subject{own.subject(sidecarName, "/"+kind+"/1")}
	for _, p := range peers {
		if v, ok := started[p.name]; ok && slices.Contains(p.kinds, kind) {
			servers = append(servers, v)
			subjects = append(subjects, v.subject(p.name, "/"+kind+"/1"))
		}
	}
	for i, v := range servers {
		subjects[i].script = script
		if kind == hit {
			if err := s.fill(ctx, v, kind, 0, fewEntries); err != nil {
				return c, err
			}
		}
	}
	c.Series, err = s.turns(ctx, kind, subjects, c.Connections, f)
	return c, err
}

// script is a file for wrk, by which it asks for one of n targets each time.
func (s *stack) script(kind string, n int) (string, error) {
	return s.file(fmt.Sprint(kind, n, ".lua"), fmt.Sprintf(
		"request = function() return wrk.format('GET', '/%s/' .. math.random(%d)) end\n", kind, n))
}

// subjects are the servers that do a kind of work, with the response in their caches.
func (s *stack) subjects(ctx context.Context, own server, started map[string]server, kind string,
	size int) ([]subject, error) {
	path := "/" + kind + "/" + sizeName(size)
	sidecar := own.subject(sidecarName, path)
	sidecar.ready = func() error { return s.cached(ctx, own, kind, path) }
	all := []subject{sidecar}
	if kind == fromRedis && started["nginx with Lua"].process != nil {
		if err := s.storeForLua(ctx, size); err != nil {
			return nil, err
		}
	}
	for _, p := range peers {
		if v, ok := started[p.name]; ok && slices.Contains(p.kinds, kind) {
			if err := s.answers(ctx, v, path); err != nil {
				return nil, err
			}
			all = append(all, v.subject(p.name, path))
		}
	}
	if kind == passThrough {
		direct := "http://" + s.origin.addr + path
		all = append(all, subject{name: directName, urls: []string{direct}})
	}
	return all, s.cached(ctx, own, kind, path)
}

func (v server) subject(name, path string) subject {
	urls, serving := []string{v.url(path)}, []*process{v.process}
	return subject{name: name, urls: urls, serving: serving, ops: v.ops}
}

// cached waits until a sidecar answers a path from its cache, if the kind is one of hits.
func (s *stack) cached(ctx context.Context, v server, kind, path string) error {
	if err := s.answers(ctx, v, path); err != nil || kind == passThrough {
		return err
	}
	return v.await(ctx, func() error {
		asked := s.origin.requests.Load()
		if _, _, err := get(v.url(path)); err != nil {
			return err
		}
		if s.origin.requests.Load() != asked {
			return fmt.Errorf("%s: %w", path, errNotServed)
		}
		return nil
	})
}
