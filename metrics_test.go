package sidecar_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"sidecar/internal/reason"
	"sidecar/internal/telemetry"
)

const metricsPage = "docs/metrics.md"

// A describer is a registry that notes the registered metrics.
type describer struct {
	*prometheus.Registry
	descs []string
}

// MustRegister implements prometheus.Registerer.
func (d *describer) MustRegister(collectors ...prometheus.Collector) {
	for _, c := range collectors {
		described := make(chan *prometheus.Desc, 100)
		c.Describe(described)
		close(described)
		for desc := range described {
			d.descs = append(d.descs, desc.String())
		}
	}
	d.Registry.MustRegister(collectors...)
}

// A metric is one line of the page.
type metric struct{ name, kind, labels, help string }

// metrics are all metrics of the sidecar, sorted by name.
func metrics(t *testing.T) (list []metric) {
	t.Helper()
	d := &describer{Registry: prometheus.NewRegistry()}
	exercise(telemetry.New(d))
	families, err := d.Gather()
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, f := range families {
		kinds[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	parts := regexp.MustCompile(
		`fqName: "([^"]*)", help: "((?:[^"\\]|\\.)*)", unit: "[^"]*", constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}`)
	for _, desc := range d.descs {
		p := parts.FindStringSubmatch(desc)
		if p == nil {
			t.Fatalf("%s cannot be read", desc)
		}
		var labels []string
		if name, _, ok := strings.Cut(p[3], "="); ok {
			labels = append(labels, name)
		}
		for label := range strings.SplitSeq(p[4], ",") {
			if label != "" {
				labels = append(labels, label)
			}
		}
		if kinds[p[1]] == "" {
			t.Errorf("exercise makes no series of %s", p[1])
		}
		list = append(list, metric{p[1], kinds[p[1]], strings.Join(labels, ", "), p[2]})
	}
	slices.SortFunc(list, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	return slices.Compact(list)
}

// exercise makes a series of each metric.
func exercise(m *telemetry.Metrics) {
	now := time.Unix(1000, 0)
	for _, result := range []telemetry.Result{
		telemetry.ResultHit, telemetry.ResultMiss, telemetry.ResultBypass,
	} {
		m.Finished(&telemetry.Outcome{
			Start: now, Method: "GET", Result: result, Reason: reason.NoRoute, Status: 200,
		}, now)
	}
	m.Stored("a")
	m.NotStored("a", reason.SetCookie)
	m.Verified("a", telemetry.VerifiedMatch)
	m.Inconclusive("a", telemetry.InconclusiveWritten)
	m.Invalidated("a", 1, nil)
	m.JobQueued("a", "default")
	m.JobProcessed("a", "succeeded")
	m.JobBegun("a", time.Millisecond)
	m.JobAttempted("a", "2xx", time.Millisecond)
	m.Slots(func() map[string]int { return map[string]int{"a": 1} })
	m.BackendAsked("2xx", time.Millisecond, "")
	m.Backend(func() (up, known bool) { return true, true })
	m.Build("1", "a", "go")
	m.Memory(func() telemetry.MemoryStats { return telemetry.MemoryStats{} })
	m.Queues(func() []telemetry.QueueStats { return []telemetry.QueueStats{{Queue: "default"}} })
	m.Spans(func() telemetry.SpanStats { return telemetry.SpanStats{} })
	r := m.Redis("cache")
	r.Breaker(telemetry.BreakerClosed)
	r.Operation("lookup", time.Millisecond, true)
	r.Pool(func() telemetry.PoolStats { return telemetry.PoolStats{} })
}

const metricsHead = `# Metrics

All metrics of ` + "`GET /metrics`" +
	`, beside those of the process and the Go runtime. No label takes a
value that a client chooses: ` + "`route`, `cache_name` and `job_type`" +
	` are names of the policies
(` + "`none`" + `: no route matched), ` + "`reason`" +
	` is a word of [reasons](reasons.md). Histograms are native
ones, with classic buckets for scrapers without them.

This page is generated from ` + "`internal/telemetry`" + `.

| metric | type | labels | |
|---|---|---|---|
`

// After a change of the metrics: go test . -run MetricsPage -update
func TestTheMetricsPageIsThatOfTheCode(t *testing.T) {
	want := metricsHead
	for _, m := range metrics(t) {
		labels := m.labels
		if labels != "" {
			labels = "`" + strings.ReplaceAll(labels, ", ", "`, `") + "`"
		}
		want += fmt.Sprintf("| `%s` | %s | %s | %s |\n", m.name, m.kind, labels, m.help)
	}
	if *update {
		if err := os.WriteFile(metricsPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, metricsPage) != want {
		t.Errorf("%s is not that of the code: go test . -run MetricsPage -update", metricsPage)
	}
}

// known are the labels of all series of the sidecar, by name.
func known(t *testing.T) map[string]string {
	known := map[string]string{}
	for _, m := range metrics(t) {
		known[m.name] = m.labels
		if m.kind == "histogram" {
			for _, suffix := range []string{"_count", "_sum", "_bucket"} {
				known[m.name+suffix] = m.labels
			}
		}
	}
	return known
}

// Each panel has a query, and names metrics and labels that exist; and most metrics have a panel.
func TestTheDashboardNamesOnlyMetricsThatExist(t *testing.T) {
	var d struct {
		UID        string
		Templating struct{ List []struct{ Definition string } }
		Panels     []struct {
			ID                       int
			Type, Title, Description string
			GridPos                  struct{ X, Y, W, H int }
			Targets                  []struct{ Expr, LegendFormat string }
			FieldConfig              struct{ Defaults struct{ Unit string } }
		}
	}
	text := read(t, "monitoring/dashboard.json")
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	exists, shown := known(t), map[string]bool{}
	// of every target that is scraped, and of the process
	everywhere := []string{"job", "instance", "le"}
	named := regexp.MustCompile(`\b((?:sidecar|cache|jobs)_[a-z_]+)\{([^}]*)\}`)
	label, grouped := regexp.MustCompile(`([a-z_]+)[=!]`), regexp.MustCompile(`by \(([^)]*)\)`)
	quoted := regexp.MustCompile(`\{\{(\w+)\}\}`) // in a legend
	check := func(where, expr, legend string) {
		metrics := named.FindAllStringSubmatch(expr, -1)
		if len(metrics) == 0 && !strings.Contains(expr, "process_") {
			t.Errorf("%s: %q names no metric", where, expr)
		}
		for _, m := range metrics {
			labels, ok := exists[m[1]]
			if !ok {
				t.Errorf("%s: there is no metric %s", where, m[1])
			}
			shown[m[1]] = true
			has := append(strings.Split(labels, ", "), everywhere...)
			used := label.FindAllStringSubmatch(m[2], -1)
			for _, by := range grouped.FindAllStringSubmatch(expr, -1) {
				for l := range strings.SplitSeq(by[1], ", ") {
					used = append(used, []string{l, l})
				}
			}
			used = append(used, quoted.FindAllStringSubmatch(legend, -1)...)
			for _, l := range used {
				if !slices.Contains(has, l[1]) {
					t.Errorf("%s: %s has no label %q: it has %s", where, m[1], l[1], labels)
				}
			}
		}
	}
	ids, places := map[int]bool{}, map[[2]int]bool{}
	for _, p := range d.Panels {
		if at := [2]int{p.GridPos.X, p.GridPos.Y}; ids[p.ID] || places[at] ||
			p.GridPos.X+p.GridPos.W > 24 || p.Title == "" {
			t.Errorf("the panel %q has the id or the place of another one, or none", p.Title)
		} else {
			ids[p.ID], places[at] = true, true
		}
		if p.Type == "row" {
			continue
		}
		if len(p.Targets) == 0 || p.Description == "" || p.FieldConfig.Defaults.Unit == "" {
			t.Errorf("the panel %q has no query, description or unit", p.Title)
		}
		for _, target := range p.Targets {
			check(p.Title, target.Expr, target.LegendFormat)
		}
	}
	if len(shown) < 20 || d.UID == "" || len(d.Templating.List) < 4 {
		t.Errorf("%d metrics are shown", len(shown))
	}
}

// Everything under monitoring/ names metrics and labels that exist.
func TestTheAlertsNameOnlyMetricsThatExist(t *testing.T) {
	known := known(t)
	rules := read(t, "monitoring/rules.yaml")
	named := regexp.MustCompile(`\b((?:sidecar|cache|jobs)_[a-z_]+)(\{[^}]*\})?`)
	label := regexp.MustCompile(`([a-z_]+)=`)
	found := 0
	for _, m := range named.FindAllStringSubmatch(rules, -1) {
		if m[1] == "cache_name" {
			continue
		}
		found++
		labels, ok := known[m[1]]
		if !ok {
			t.Errorf("there is no metric %s", m[1])
		}
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if !slices.Contains(strings.Split(labels, ", "), l[1]) {
				t.Errorf("%s has no label %s: it has %s", m[1], l[1], labels)
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d metrics", found)
	}
	tests := read(t, "monitoring/rules_test.yaml")
	for _, alert := range regexp.MustCompile(`alert: (\w+)`).FindAllStringSubmatch(rules, -1) {
		if strings.Count(tests, "alertname: "+alert[1]+"\n") < 1 ||
			!strings.Contains(tests, "alertname: "+alert[1]+"}") {
			t.Errorf("no test fires %s, or none leaves it silent", alert[1])
		}
	}
}

// Each alert names its section of the runbook, and the runbook has no section of another one.
func TestEveryAlertHasItsSectionInTheRunbook(t *testing.T) {
	const page = "docs/runbook.md"
	alerts := regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).
		FindAllStringSubmatch(read(t, "monitoring/rules.yaml"), -1)
	sections := regexp.MustCompile(`(?m)^### (Sidecar\w+)$`).FindAllStringSubmatch(read(t, page),
		-1)
	if len(alerts) < 11 || len(alerts) != len(sections) {
		t.Fatalf("%d alerts, %d sections", len(alerts), len(sections))
	}
	rules := read(t, "monitoring/rules.yaml")
	for i, alert := range alerts {
		if sections[i][1] != alert[1] {
			t.Errorf("the section of %s is that of %s", alert[1], sections[i][1])
		}
		if link := fmt.Sprintf("runbook: \"%s#%s\"\n",
			page, strings.ToLower(alert[1])); strings.Count(rules, link) != 1 {
			t.Errorf("%s has no annotation %s", alert[1], link)
		}
	}
}
