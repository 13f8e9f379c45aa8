package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// A result is everything that a run measured.
type result struct {
	Date     string            `json:"date"`
	Form     form              `json:"form"`
	Machine  machine           `json:"machine"`
	Versions map[string]string `json:"versions"`
	Missing  []string          `json:"missing,omitempty"` // peers, and why
	Cells    []cell            `json:"cells"`
	Tables   []table           `json:"tables"`
	Figures  []figure          `json:"figures"`
	Profiles []breakdown       `json:"profiles"`
}

func (r *result) figure(what string, value float64, unit string) {
	r.Figures = append(r.Figures, figure{what, round(value), unit})
}

// over is the last result with the tables and figures of r, which has nothing else, in their
// places.
func (r *result) over(last *result) *result {
	merged := *last
	merged.Tables = replaced(last.Tables, r.Tables, func(t table) string { return t.Name })
	merged.Figures = replaced(last.Figures, r.Figures, func(f figure) string { return f.What })
	return &merged
}

// replaced is old with each of new in the place of that of its name, or else behind all.
func replaced[T any](old, new []T, name func(T) string) []T {
	all := slices.Clone(old)
	for _, n := range new {
		i := slices.IndexFunc(all, func(o T) bool { return name(o) == name(n) })
		if i < 0 {
			all = append(all, n)
		} else {
			all[i] = n
		}
	}
	return all
}

// A machine is where a result was made.
type machine struct {
	Processor string  `json:"processor"`
	Cores     int     `json:"cores"`
	Memory    float64 `json:"memory_gib"`
	Kernel    string  `json:"kernel"`
	Load      string  `json:"load"` // of the minute before the start
}

func thisMachine() machine {
	m := machine{Cores: runtime.NumCPU(), Processor: runtime.GOARCH}
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			m.Processor = strings.TrimSpace(value)
		}
	}
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	m.Kernel = strings.TrimSpace(string(kernel))
	average, _ := os.ReadFile("/proc/loadavg")
	m.Load, _, _ = strings.Cut(string(average), " ")
	var system syscall.Sysinfo_t
	if syscall.Sysinfo(&system) == nil {
		m.Memory = float64(uint64(system.Totalram) * uint64(system.Unit) >> 30)
	}
	return m
}

// versions are those of the programs that take part.
func versions() map[string]string {
	found := map[string]string{"Go": strings.TrimPrefix(runtime.Version(), "go")}
	for name, argv := range map[string][]string{
		"nginx": {"nginx", "-v"}, "Varnish": {"varnishd", "-V"}, "HAProxy": {"haproxy", "-v"},
		"Redis": {"redis-server", "--version"}, "wrk": {"wrk", "-v"},
	} {
		program, err := find(argv[0])
		if err != nil {
			continue
		}
		out, _ := exec.Command(program, argv[1]).CombinedOutput() // wrk -v exits with 1
		if v := version(string(out)); v != "" {
			found[name] = v
		}
	}
	return found
}

// version is the first word with a number and a dot.
func version(text string) string {
	apart := func(r rune) bool { return strings.ContainsRune(" /=()\n", r) }
	for _, word := range strings.FieldsFunc(text, apart) {
		word = strings.TrimPrefix(strings.TrimPrefix(word, "varnish-"), "debian")
		if strings.Contains(word, ".") && word[0] >= '0' && word[0] <= '9' {
			return word
		}
	}
	return ""
}

// samplesOf are the turns of one subject of a cell; nil: it had none.
func (c cell) samplesOf(name string) []sample {
	for _, s := range c.Series {
		if s.Name == name {
			return s.Samples
		}
	}
	return nil
}

// A spread is a median with the least and the greatest value.
type spread struct{ median, least, greatest float64 }

func (s spread) text() string { return fmt.Sprintf("%.2f … %.2f", s.least, s.greatest) }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	values = slices.Sorted(slices.Values(values))
	middle := (values[(len(values)-1)/2] + values[len(values)/2]) / 2
	return spread{middle, values[0], values[len(values)-1]}
}

// each is one number of each turn.
func each(samples []sample, of func(sample) float64) (values []float64) {
	for _, s := range samples {
		values = append(values, of(s))
	}
	return values
}

// The numbers of a turn, for each and median.
func ofCPU(s sample) float64   { return s.CPU }
func ofRedis(s sample) float64 { return s.Redis }
func ofRate(s sample) float64  { return s.Rate }
func ofP50(s sample) float64   { return s.P50 }
func ofP99(s sample) float64   { return s.P99 }

// cost is the CPU time of a request, with Redis's own where it is read.
func cost(s sample) float64 { return s.CPU + s.Redis }

// ratio is the cost of one subject as a multiple of another's, round by round.
func (c cell) ratio(of, to string) (spread, bool) {
	a, b := c.samplesOf(of), c.samplesOf(to)
	var ratios []float64
	for i := range min(len(a), len(b)) {
		if cost(b[i]) > 0 {
			ratios = append(ratios, cost(a[i])/cost(b[i]))
		}
	}
	return spreadOf(ratios), len(ratios) > 0
}

// cellOf is the cell with these numbers.
func (r *result) cellOf(kind string, connections, body int) (cell, bool) {
	for _, c := range r.Cells {
		if c.Kind == kind && c.Connections == connections && c.Body == body && !c.Changing {
			return c, true
		}
	}
	return cell{}, false
}

// grouped writes a number with commas.
func grouped(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
