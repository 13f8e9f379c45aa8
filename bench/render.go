package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func resultFile(module string) string { return filepath.Join(module, "bench", "results.json") }

// page is the document whose numbers are filled in.
func page(module string) string { return filepath.Join(module, "docs", "performance.md") }

// render writes the numbers of the last result into the documentation.
func render(module string) error {
	r, err := readResult(resultFile(module))
	if err != nil {
		return err
	}
	text, err := os.ReadFile(page(module))
	if err != nil {
		return err
	}
	filled, err := r.fill(string(text))
	if err != nil {
		return err
	}
	if err := os.WriteFile(page(module), []byte(filled), 0o644); err != nil {
		return err
	}
	for name, picture := range r.pictures() {
		file := filepath.Join(module, "docs", name)
		if err := os.WriteFile(file, []byte(picture), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func readResult(file string) (*result, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &result{}
	return r, json.Unmarshal(content, r)
}

// block is a place for numbers in the document.
var block = regexp.MustCompile(`(?s)<!-- bench: ([a-z]+) -->\n.*?<!-- end -->`)

// fill puts the numbers between the markers of the document.
func (r *result) fill(text string) (string, error) {
	blocks, used := r.blocks(), map[string]bool{}
	text = block.ReplaceAllStringFunc(text, func(found string) string {
		name := block.FindStringSubmatch(found)[1]
		used[name] = true
		return fmt.Sprintf("<!-- bench: %s -->\n\n%s\n<!-- end -->", name, blocks[name])
	})
	known := slices.Sorted(maps.Keys(blocks))
	if named := slices.Sorted(maps.Keys(used)); !slices.Equal(named, known) {
		return "", fmt.Errorf("the document has the blocks %v; they are %v", named, known)
	}
	return text, nil
}

// blocks are the texts of all places by their names.
func (r *result) blocks() map[string]string {
	blocks := map[string]string{
		"machine": r.about(), "goals": r.goalTable(), "memory": r.memoryTable(),
		"changing": r.cellTable(hit, true), "changingpass": r.cellTable(passThrough, true),
		"floor": r.floorTable(),
	}
	for _, kind := range kinds {
		blocks[kind] = r.cellTable(kind, false)
		blocks["profile"+kind] = r.profileTable(kind)
	}
	for _, name := range []string{"routes", "tags", "entries", "sidecars"} {
		blocks[name] = r.growthTable(name)
	}
	return blocks
}

func (r *result) about() string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b,
		"| | |\n|---|---|\n| date | %s |\n| machine | %s, %d cores, %.0f GiB, Linux %s |\n"+
			"| load before | %s |\n",
		r.Date, m.Processor, m.Cores, m.Memory, m.Kernel, m.Load)
	fmt.Fprintf(&b, "| rounds | %d, of %v for each server |\n", r.Form.Rounds, r.Form.Time)
	if time.Duration(r.Form.Rounds)*r.Form.Time < 2*time.Second {
		b.WriteString("| note | a short run: these numbers say little |\n")
	}
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, r.Versions[name])
	}
	for _, m := range r.Missing {
		fmt.Fprintf(&b, "| left out | %s |\n", strings.ReplaceAll(m, "\n", " "))
	}
	return b.String()
}

func (r *result) goalTable() string {
	var b strings.Builder
	b.WriteString("| | goal | measured | over the rounds |\n|---|---|---|---|\n")
	for _, g := range r.goals() {
		fmt.Fprintf(&b, "| %s | %s | **%s** | %s |\n", g.what, g.goal, g.measured, g.spread)
	}
	return b.String()
}

// cellTable has the rows of all cells of a kind, with one target or with changing ones.
func (r *result) cellTable(kind string, changing bool) string {
	var b strings.Builder
	b.WriteString("| body | connections | | CPU µs | requests/s | p50 µs | p99 µs | ratio |" +
		" over the rounds |\n")
	b.WriteString("|---:|---:|---|---:|---:|---:|---:|---:|---|\n")
	for _, c := range r.Cells {
		if c.Kind != kind || c.Changing != changing {
			continue
		}
		for i, s := range c.Series {
			body, connections := "", ""
			if i == 0 {
				body, connections = grouped(c.Body), fmt.Sprint(c.Connections)
			}
			ratio, spread := c.against(s.Name)
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", body, connections,
				s.Name+s.past(), c.costText(s), whole(s, ofRate), whole(s, ofP50), whole(s, ofP99),
				ratio, spread)
		}
	}
	return b.String()
}

// floorTable divides the cost of a pass-through into that of the kernel and the rest.
func (r *result) floorTable() string {
	var b strings.Builder
	b.WriteString("| | CPU µs | in the kernel | outside it |\n|---|---:|---:|---:|\n")
	c, _ := r.cellOf(passThrough, goalConnections, goalBody)
	for _, s := range c.Series {
		if s.Name == directName {
			continue
		}
		fmt.Fprintf(&b, "| %s | %.1f | %.1f | %.1f |\n", s.Name, median(s.Samples, ofCPU),
			median(s.Samples, func(s sample) float64 { return s.Kernel }),
			median(s.Samples, func(s sample) float64 { return s.CPU - s.Kernel }))
	}
	return b.String()
}

// costText is the CPU time of a request; with Redis's own as a sum.
func (c cell) costText(s series) string {
	own := median(s.Samples, ofCPU)
	switch {
	case s.Name == directName:
		return ""
	case c.Kind == fromRedis:
		return fmt.Sprintf("%.1f + %.1f", own, median(s.Samples, ofRedis))
	}
	return fmt.Sprintf("%.1f", own)
}

// past says that some hits asked the API.
func (s series) past() string {
	share := median(s.Samples, func(s sample) float64 { return s.Past })
	if share == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.0f %% past the cache)", 100*share)
}

// whole is a median without digits after the point.
func whole(s series, of func(sample) float64) string {
	return grouped(int(median(s.Samples, of)))
}

// workNames are the kinds in words.
var workNames = map[string]string{
	hit: "hit from memory", fromRedis: "hit from Redis", passThrough: "pass-through",
}

// growthTable has a row for each kind of work, and the series as columns.
func (r *result) growthTable(name string) string {
	var b strings.Builder
	for _, t := range r.Tables {
		if t.Name != name || len(t.Rows) == 0 {
			continue
		}
		b.WriteString("| CPU µs of a request |")
		for _, s := range t.Rows[0].Series {
			fmt.Fprintf(&b, " %s |", s.Name)
		}
		columns := strings.Repeat("---:|", len(t.Rows[0].Series))
		b.WriteString(" ratio | over the rounds |\n|---|" + columns + "---:|---|\n")
		for _, row := range t.Rows {
			fmt.Fprintf(&b, "| %s |", workNames[row.Kind])
			for _, s := range row.Series {
				fmt.Fprintf(&b, " %s |", row.costText(s))
			}
			ratio, spread := row.against(row.Series[len(row.Series)-1].Name)
			fmt.Fprintf(&b, " %s | %s |\n", ratio, spread)
		}
	}
	return b.String()
}

func (r *result) memoryTable() string {
	var b strings.Builder
	b.WriteString("| | |\n|---|---:|\n")
	for _, f := range r.Figures {
		fmt.Fprintf(&b, "| %s | %.1f %s |\n", f.What, f.Value, f.Unit)
	}
	for _, kind := range kinds {
		if c, ok := r.cellOf(kind, goalConnections, goalBody); ok {
			fmt.Fprintf(&b, "| allocated per request, %s of 2 KB | %.0f bytes |\n", workNames[kind],
				median(c.samplesOf(sidecarName), func(s sample) float64 { return s.Alloc }))
		}
	}
	return b.String()
}

func (r *result) profileTable(kind string) string {
	var b strings.Builder
	for _, p := range r.Profiles {
		if p.Kind != kind {
			continue
		}
		b.WriteString("| share of the CPU | in | | with all calls | function |\n" +
			"|---:|---|---|---:|---|\n")
		for i := range max(len(p.Groups), len(p.Functions)) {
			fmt.Fprintf(&b, "| %s | | %s |\n",
				shareText(p.Groups, i, ""), shareText(p.Functions, i, "`"))
		}
	}
	return b.String()
}

func shareText(shares []share, i int, quote string) string {
	if i >= len(shares) {
		return " | "
	}
	return fmt.Sprintf("%.1f %% | %s%s%[2]s", shares[i].Percent, quote, shares[i].Name)
}
