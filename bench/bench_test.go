package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets this program be the relay too.
func TestMain(m *testing.M) {
	if addresses := os.Getenv(relayVariable); addresses != "" {
		_ = serveRelay(addresses) // until it is killed
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// The whole program with turns of 0.2 s, beside the peers that are installed.
func TestATinyRunMeasuresAllThreeKindsOfWork(t *testing.T) {
	if _, err := exec.LookPath("wrk"); err != nil {
		t.Skip("wrk is not installed: apt-get install wrk")
	}
	o := options{form: form{
		Kinds: kinds, Connections: []int{2}, Bodies: []int{200}, Rounds: 1,
		Time: 200 * time.Millisecond,
	}, module: ".."}
	var out bytes.Buffer
	r, err := measure(t.Context(), o, &out)
	if err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if len(r.Cells) != len(kinds)+len(changingKinds) {
		t.Fatalf("%d cells:\n%s", len(r.Cells), &out)
	}
	for _, c := range r.Cells {
		own := c.samplesOf(sidecarName)
		if len(own) != 1 || own[0].CPU <= 0 || own[0].Rate <= 0 || own[0].P99 < own[0].P50 ||
			own[0].Alloc <= 0 {
			t.Errorf("%s: %+v", c.Kind, own)
		}
		if c.Kind == fromRedis && own[0].Redis <= 0 {
			t.Errorf("a hit from Redis costs Redis nothing: %+v", own[0])
		}
	}
	for _, p := range peers {
		_, missing := find(strings.ToLower(p.name))
		if c := cellOfKind(r, p.kinds[0]); missing == nil && c.samplesOf(p.name) == nil {
			t.Errorf("%s is installed and has no turn; left out: %v", p.name, r.Missing)
		}
	}
	for name, picture := range r.pictures() {
		wellFormed(t, name, picture)
	}
}

func cellOfKind(r *result, kind string) cell {
	for _, c := range r.Cells {
		if c.Kind == kind {
			return c
		}
	}
	return cell{}
}

// The page and the pictures are those of the result that lies beside this test.
func TestThePageShowsTheLastResult(t *testing.T) {
	r, err := readResult("results.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page(".."))
	if err != nil {
		t.Fatal(err)
	}
	filled, err := r.fill(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if filled != string(text) {
		t.Error("docs/performance.md has other numbers: go run ./bench -render")
	}
	for name, picture := range r.pictures() {
		wellFormed(t, name, picture)
		file, err := os.ReadFile(filepath.Join("..", "docs", name))
		if err != nil || string(file) != picture {
			t.Errorf("docs/%s has other numbers: go run ./bench -render (%v)", name, err)
		}
	}
}

func wellFormed(t *testing.T, name, picture string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(picture))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
	}
}

func TestTheOutputOfWrkIsUnderstood(t *testing.T) {
	const good = `Running 1h test @ http://127.0.0.1:18999/
  Latency Distribution
     50%    1.80ms
     75%    2.20ms
     90%    2.63ms
     99%  950.00us
  625 requests in 299.43ms, 208.74KB read
Requests/sec:   2087.33
`
	l, err := parseLoad(good)
	want := load{requests: 625, rate: 2087.33, p50: 1800 * time.Microsecond,
		p99: 950 * time.Microsecond}
	if err != nil || l != want {
		t.Errorf("%+v, %v; want %+v", l, err, want)
	}
	for _, bad := range []string{
		"",
		good + "  Non-2xx or 3xx responses: 3\n",
		good + "  Socket errors: connect 0, read 3, write 0, timeout 0\n",
		strings.Replace(good, "625 ", "0 ", 1), strings.Replace(good, "99%", "98%", 1),
	} {
		if l, err := parseLoad(bad); err == nil {
			t.Errorf("%+v of %q", l, bad)
		}
	}
}

// The CPU clock of a process counts its own work and that of its children.
func TestTheCPUOfChildrenCounts(t *testing.T) {
	ps, err := newProcesses()
	if err != nil {
		t.Fatal(err)
	}
	defer ps.stop()
	busy, err := ps.start("busy", nil, "sh", "-c", "(while :; do :; done) & wait")
	if err != nil {
		t.Fatal(err)
	}
	err = busy.await(t.Context(), func() error {
		all, own := cpu(busy), clock(busy.cmd.Process.Pid)
		if all < own+100*time.Millisecond {
			return errNotServed
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	for pid := range parents() { // the child outlives the shell at SIGINT
		if p, ok := parents()[pid]; ok && p == busy.cmd.Process.Pid {
			child, _ := os.FindProcess(pid)
			_ = child.Kill()
		}
	}
}

func TestAPartOfARunTakesItsPlacesInTheLastResult(t *testing.T) {
	last := &result{
		Date: "before", Tables: []table{{Name: "routes"}, {Name: "entries"}},
		Figures: []figure{{What: "a", Value: 1}, {What: "b", Value: 2}},
	}
	part := &result{
		Date: "now", Tables: []table{{Name: "entries", Rows: []cell{{Kind: hit}}}},
		Figures: []figure{{What: "b", Value: 3}, {What: "c", Value: 4}},
	}
	got := part.over(last)
	if got.Date != "before" || len(got.Tables) != 2 || len(got.Tables[1].Rows) != 1 ||
		len(last.Tables[1].Rows) != 0 {
		t.Errorf("%+v", got)
	}
	want := []figure{{"a", 1, ""}, {"b", 3, ""}, {"c", 4, ""}}
	if !slices.Equal(got.Figures, want) {
		t.Errorf("%v", got.Figures)
	}
}

func TestDocumentsHaveTheirLength(t *testing.T) {
	for _, size := range []int{40, 200, 2000, 100_000} {
		if got := len(document(size)); got != size {
			t.Errorf("%d bytes; want %d", got, size)
		}
	}
}

func TestARatioIsTakenWithinEachRound(t *testing.T) {
	c := cell{Kind: fromRedis, Series: []series{
		{"a", []sample{{CPU: 3, Redis: 1}, {CPU: 9}, {CPU: 1}}},
		{"b", []sample{{CPU: 2}, {CPU: 3}, {CPU: 1}}},
	}}
	if got, ok := c.ratio("a", "b"); !ok || got != (spread{2, 1, 3}) {
		t.Errorf("%+v", got)
	}
	if _, ok := c.ratio("a", "none"); ok {
		t.Error("a ratio to nothing")
	}
}
