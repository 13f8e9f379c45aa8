package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// host and authorization are the fields of all requests. Both are part of a sidecar's key: so
// sidecars share their entries.
const (
	host          = "api.test"
	authorization = "Bearer abc.def.ghi"
)

// A load is the result of one wrk.
type load struct {
	requests int
	rate     float64 // requests a second
	p50, p99 time.Duration
}

// run loads a URL for a time. script is a file in Lua, or "".
func run(ctx context.Context, url string, connections int, length time.Duration,
	script string) (load, error) {
	args := []string{
		"-t1", "-c", strconv.Itoa(connections), "-d1h", "--latency",
		"-H", "Host: " + host, "-H", "Authorization: " + authorization,
	}
	if script != "" {
		args = append(args, "-s", script)
	}
	var out bytes.Buffer
	wrk := exec.Command("wrk", append(args, url)...)
	wrk.Stdout, wrk.Stderr = &out, &out
	wrk.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := wrk.Start(); err != nil {
		return load{}, err
	}
	ended := make(chan error, 1)
	go func() { ended <- wrk.Wait() }() // ends with wrk, which interrupt ends
	if err := interrupt(ctx, wrk.Process, ended, length); err != nil {
		return load{}, fmt.Errorf("wrk: %w: %s", err, out.Bytes())
	}
	return parseLoad(out.String())
}

// interrupt ends wrk after a time, and waits for its end. wrk itself takes whole seconds only, but
// prints its results at SIGINT. While it starts it ignores that, so it is told again.
func interrupt(ctx context.Context, wrk *os.Process, ended <-chan error,
	length time.Duration) error {
	next := time.NewTimer(length)
	defer next.Stop()
	for deadline := time.After(length + endTimeout); ; next.Reset(100 * time.Millisecond) {
		select {
		case err := <-ended:
			return err
		case <-next.C:
			_ = wrk.Signal(os.Interrupt) // it may have ended
		case <-ctx.Done():
			_ = wrk.Kill()
			return errors.Join(ctx.Err(), <-ended)
		case <-deadline:
			_ = wrk.Kill()
			return <-ended
		}
	}
}

var (
	failures  = regexp.MustCompile(`Non-2xx.*|Socket errors.*`)
	completed = regexp.MustCompile(`(\d+) requests in`)
	perSecond = regexp.MustCompile(`Requests/sec:\s+([\d.]+)`)
	quantiles = regexp.MustCompile(`\s(50|99)%\s+([\d.]+[a-z]+)`)
)

var errNoLoad = errors.New("wrk does not say what it did")

func parseLoad(out string) (l load, err error) {
	if bad := failures.FindString(out); bad != "" {
		return l, errors.New("wrk: " + bad)
	}
	count, rate, times := completed.FindStringSubmatch(out), perSecond.FindStringSubmatch(out),
		quantiles.FindAllStringSubmatch(out, -1)
	if count == nil || rate == nil || len(times) != 2 {
		return l, fmt.Errorf("%w: %s", errNoLoad, out)
	}
	if l.requests, err = strconv.Atoi(count[1]); err != nil || l.requests == 0 {
		return l, fmt.Errorf("%w: %s", errNoLoad, out)
	}
	if l.rate, err = strconv.ParseFloat(rate[1], 64); err != nil {
		return l, err
	}
	if l.p50, err = time.ParseDuration(times[0][2]); err != nil {
		return l, err
	}
	l.p99, err = time.ParseDuration(times[1][2])
	return l, err
}

// together loads several URLs at once, with the connections shared among them.
func together(ctx context.Context, urls []string, connections int, length time.Duration,
	script string) (sum load, err error) {
	type done struct {
		load
		err error
	}
	results := make(chan done, len(urls))
	for _, url := range urls {
		go func() { // ends with its wrk
			l, err := run(ctx, url, max(1, connections/len(urls)), length, script)
			results <- done{l, err}
		}()
	}
	for range urls {
		d := <-results
		err = errors.Join(err, d.err)
		sum.requests += d.requests
		sum.rate += d.rate
		sum.p50, sum.p99 = max(sum.p50, d.p50), max(sum.p99, d.p99)
	}
	return sum, err
}
