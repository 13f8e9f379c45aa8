package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// A subject has a turn in each round: the processes that serve one kind of work.
type subject struct {
	name    string
	urls    []string
	script  string     // for wrk, in Lua
	serving []*process // whose CPU counts; none: the origin itself
	ops     string     // the ops address of a sidecar, or ""
	ready   func() error
	// connections are its own number; 0: that of all
	connections int
}

// A sample is one turn. Times are in microseconds.
type sample struct {
	CPU   float64 `json:"cpu"` // of the serving processes, per request
	Redis float64 `json:"redis,omitempty"`
	// Kernel is the part of CPU that was spent in the kernel.
	Kernel float64 `json:"kernel,omitempty"`
	Rate   float64 `json:"rate"`
	P50    float64 `json:"p50"`
	P99    float64 `json:"p99"`
	Alloc  float64 `json:"alloc,omitempty"` // bytes that a sidecar allocated per request
	Past   float64 `json:"past,omitempty"`  // the share of hits that asked the API, if over 0.01
}

// A series are the turns of one subject, by rounds.
type series struct {
	Name    string   `json:"name"`
	Samples []sample `json:"samples"`
}

var errNotServed = errors.New("it asks the API too often, or too seldom, for this kind of work")

// turns gives each subject its turn in each round.
func (s *stack) turns(ctx context.Context, kind string, subjects []subject, connections int,
	f form) ([]series, error) {
	all := make([]series, len(subjects))
	for i, sub := range subjects {
		all[i].Name = sub.name
	}
	for range f.Rounds {
		for i, sub := range subjects {
			got, err := s.undisturbed(ctx, kind, sub, connections, f.Time)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", sub.name, kind, err)
			}
			all[i].Samples = append(all[i].Samples, got)
		}
	}
	return all, nil
}

// maxTurns is how often a turn is tried in which hits were none.
const maxTurns = 3

// undisturbed is a turn whose hits were all served from the cache, if the machine lets it. On a
// busy one Redis may not answer within REDIS_TIMEOUT, and then the API is asked.
func (s *stack) undisturbed(ctx context.Context, kind string, sub subject, connections int,
	length time.Duration) (got sample, err error) {
	for range maxTurns {
		if got, err = s.turn(ctx, kind, sub, connections, length); err != nil || got.Past == 0 {
			return got, err
		}
		if sub.ready != nil {
			if err := sub.ready(); err != nil { // the breaker may be open
				return got, err
			}
		}
	}
	return got, nil
}

func (s *stack) turn(ctx context.Context, kind string, sub subject, connections int,
	length time.Duration) (sample, error) {
	allocated, asked := sub.allocated(), s.origin.requests.Load()
	if sub.connections > 0 {
		connections = sub.connections
	}
	user, system := ticks(sub.serving...)
	used, usedByRedis := cpu(sub.serving...), cpu(s.redis)
	l, err := together(ctx, sub.urls, connections, length, sub.script)
	if err != nil {
		return sample{}, err
	}
	used, usedByRedis = cpu(sub.serving...)-used, cpu(s.redis)-usedByRedis
	userNow, systemNow := ticks(sub.serving...)
	user, system = userNow-user, systemNow-system
	allocated = sub.allocated() - allocated
	share := float64(s.origin.requests.Load()-asked) / float64(l.requests)
	if kind == passThrough && share < 0.99 || kind == hit && share > 0.01 {
		return sample{}, fmt.Errorf("%w: %.3f times a request", errNotServed, share)
	}
	each := func(d time.Duration) float64 {
		return round(float64(d.Nanoseconds()) / 1000 / float64(l.requests))
	}
	got := sample{
		CPU: each(used), Rate: math.Round(l.rate), P50: micros(l.p50), P99: micros(l.p99),
		Alloc: math.Round(allocated / float64(l.requests)),
	}
	if user+system > 0 {
		got.Kernel = round(got.CPU * system / (user + system))
	}
	if kind == fromRedis {
		got.Redis = each(usedByRedis)
		if share > 0.01 {
			got.Past = round(share)
		}
	}
	return got, nil
}

func micros(d time.Duration) float64 { return float64(d.Microseconds()) }

// round keeps two digits after the point.
func round(f float64) float64 { return math.Round(f*100) / 100 }

func (sub subject) allocated() float64 {
	if sub.ops == "" {
		return 0
	}
	return metric(sub.ops, "go_memstats_alloc_bytes_total")
}

// metric reads one metric without labels; 0 if there is none.
func metric(ops, name string) float64 {
	res, err := client.Get("http://" + ops + "/metrics")
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		if text, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			value, _ := strconv.ParseFloat(text, 64)
			return value
		}
	}
	return 0
}

var client = &http.Client{
	Transport: &http.Transport{DisableCompression: true}, Timeout: 5 * time.Second,
}

// get asks as wrk does.
func get(url string) (*http.Response, []byte, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	req.Host = host
	req.Header.Set("Authorization", authorization)
	res, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, res.Status)
	}
	return res, body, err
}
