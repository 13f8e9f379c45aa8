package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// print prints the summary. Cells and tables were printed when they were measured.
func (r *result) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, f := range r.Figures {
		fmt.Fprintf(w, "%s\t%.1f %s\n", f.What, f.Value, f.Unit)
	}
	rows := r.goals()
	if len(rows) == 0 {
		return w.Flush()
	}
	fmt.Fprintln(w, "\nwork\tgoal\tmeasured\tfrom … to")
	for _, g := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", g.what, g.goal, g.measured, g.spread)
	}
	return w.Flush()
}

// text is a cell for a terminal.
func (c cell) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%s, %d connections", c.Kind, c.Connections)
	if c.Body > 0 {
		fmt.Fprintf(&b, ", %s bytes", grouped(c.Body))
	}
	if c.Changing {
		b.WriteString(", changing targets")
	}
	b.WriteByte('\n')
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tCPU µs\tof Redis\trequests/s\tp50 µs\tp99 µs\tratio\tfrom … to\t")
	for _, s := range c.Series {
		redis := ""
		if c.Kind == fromRedis {
			redis = fmt.Sprintf("%.1f", median(s.Samples, ofRedis))
		}
		ratio, spread := c.against(s.Name)
		fmt.Fprintf(w, "%s\t%.1f\t%s\t%.0f\t%.0f\t%.0f\t%s\t%s\t\n", s.Name+s.past(),
			median(s.Samples, ofCPU), redis, median(s.Samples, ofRate),
			median(s.Samples, ofP50), median(s.Samples, ofP99), ratio, spread)
	}
	_ = w.Flush() // a Builder takes everything
	return b.String()
}

// against is the cost of a subject as a multiple of the reference peer's, or else of the first
// subject's.
func (c cell) against(name string) (ratio, spread string) {
	base := reference(c.Kind)
	if c.samplesOf(base) == nil {
		base = c.Series[0].Name
	}
	r, ok := c.ratio(name, base)
	if !ok || name == directName {
		return "", ""
	}
	return fmt.Sprintf("%.2f", r.median), r.text()
}

func median(samples []sample, of func(sample) float64) float64 {
	return spreadOf(each(samples, of)).median
}

func (t table) text() string {
	var b strings.Builder
	for _, row := range t.Rows {
		b.WriteString("\n" + t.Name + ":" + strings.TrimPrefix(row.text(), "\n"))
	}
	return b.String()
}

func (b breakdown) text() string {
	var out strings.Builder
	fmt.Fprintf(&out, "\nprofile, %s\n", b.Kind)
	for _, s := range slices.Concat(b.Groups, b.Functions) {
		fmt.Fprintf(&out, "%6.1f %%  %s\n", s.Percent, s.Name)
	}
	return out.String()
}

// A goal is one row of the summary.
type goal struct{ what, goal, measured, spread string }

// The cells to which the goals belong.
const goalConnections, goalBody = 32, 2000

// goals compares the goals with the result, as far as it goes.
func (r *result) goals() (rows []goal) {
	for _, g := range []struct {
		what, kind string
		goal       float64
	}{
		{"hit from memory: CPU, multiple of nginx's", hit, 0.80},
		{"hit from Redis: CPU with Redis's own, multiple of nginx's with Lua", fromRedis, 0.75},
		{"pass-through GET: CPU, multiple of nginx's", passThrough, 1.0},
	} {
		c, _ := r.cellOf(g.kind, goalConnections, goalBody)
		rows = append(rows, c.goal(g.what, fmt.Sprintf("≤ %.2f", g.goal))...)
	}
	for _, c := range r.Cells {
		if c.Changing {
			rows = append(rows, c.goal(workNames[c.Kind]+
				", each of another target, 200 bytes: multiple of nginx's", "")...)
		}
	}
	if added, ok := r.added(); ok {
		rows = append(rows, goal{
			"latency added to a pass-through GET, 1 connection: multiple of nginx's", "≤ 1.50",
			fmt.Sprintf("%.2f", added.median), added.text(),
		})
	}
	for _, f := range r.Figures {
		switch f.What {
		case figureHeap:
			rows = append(rows, goal{"memory beyond the stored record, per entry", "≤ 300 bytes",
				fmt.Sprintf("%.0f bytes", f.Value), ""})
		case figureIdle:
			rows = append(rows, goal{"resident memory, idle", "≤ 25 MiB",
				fmt.Sprintf("%.1f MiB", f.Value), ""})
		}
	}
	return rows
}

// goal is the row about the ratio to the reference peer; none if it is not there.
func (c cell) goal(what, wanted string) []goal {
	s, ok := c.ratio(sidecarName, reference(c.Kind))
	if !ok {
		return nil
	}
	return []goal{{what, wanted, fmt.Sprintf("%.2f", s.median), s.text()}}
}

// added is the median latency that the sidecar adds to a GET on one connection, as a multiple of
// nginx's.
func (r *result) added() (spread, bool) {
	c, _ := r.cellOf(passThrough, 1, goalBody)
	own, peer := each(c.samplesOf(sidecarName), ofP50), each(c.samplesOf("nginx"), ofP50)
	direct := each(c.samplesOf(directName), ofP50)
	var ratios []float64
	for i := range min(len(own), len(peer), len(direct)) {
		if peer[i] > direct[i] {
			ratios = append(ratios, (own[i]-direct[i])/(peer[i]-direct[i]))
		}
	}
	return spreadOf(ratios), len(ratios) > 0
}
