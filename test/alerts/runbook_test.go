package alerts

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sidecar/test/proc"
)

func runbook(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile("../../docs/runbook.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// seesWhatTheRunbookNames tries what the section of an alert says is to be seen, while it fires.
func (w *world) seesWhatTheRunbookNames(p *prometheus, alert string) {
	w.t.Helper()
	_, section, ok := strings.Cut(runbook(w.t), "\n### "+alert+"\n")
	if !ok {
		w.t.Fatalf("the runbook has no section %s", alert)
	}
	section, _, _ = strings.Cut(section, "\n#")
	m := regexp.MustCompile(`(?s)\n- \*\*See\*\* (.*?)\n- \*\*Do\*\*`).FindStringSubmatch(section)
	if m == nil {
		w.t.Fatalf("%s: the runbook does not say what to see", alert)
	}
	l := look{world: w, prometheus: p}
	spans := regexp.MustCompile("(?s)`([^`]+)`").FindAllStringSubmatch(m[1], -1)
	if len(spans) == 0 {
		w.t.Fatalf("%s: the runbook names nothing to see", alert)
	}
	for _, span := range spans {
		named := strings.Join(strings.Fields(span[1]), " ")
		proc.Await(w.t, 20*time.Second, func() error {
			if err := l.at(named); err != nil {
				return fmt.Errorf("%s: the runbook says to see `%s`: %w", alert, named, err)
			}
			return nil
		})
	}
}

// A look goes through what a section names, in its order.
type look struct {
	world      *world
	prometheus *prometheus
	metric     string // named last, as are the next two
	field      string // of /status
	line       string
	job        string // the id of a job that failed
}

var (
	metricName = regexp.MustCompile(`^(?:sidecar|cache|jobs)_[a-z_]+(?:\{.*\})?$`)
	jobID      = regexp.MustCompile(`"(?:job_id|id)": "([^"]+)"`)
)

// logged are the lines that the runbook names.
var logged = []string{"a job failed", "a hit differs from the API's answer"}

// redisCommands are what it says to ask Redis.
var redisCommands = []string{"SLOWLOG GET", "INFO commandstats"}

// labels are those by which it says to look at the metric before them.
var labels = []string{"op", "kind", "reason", "route", "state"}

// at looks at one thing that the runbook names.
func (l *look) at(named string) error {
	switch {
	case metricName.MatchString(named):
		l.metric = named
		return l.has(named)
	case slices.Contains(labels, named):
		return l.has(fmt.Sprintf("count by (%s) (%s)", named, l.metric))
	case strings.HasPrefix(named, "sidecar "):
		return l.runs(named)
	case strings.HasPrefix(named, "/"):
		if status, body, err := l.world.ask(named); err != nil || status != 200 {
			return fmt.Errorf("%d %s %v", status, body, err)
		}
		return nil
	case slices.Contains(logged, named):
		l.line = `"msg":"` + regexp.QuoteMeta(named) + `"`
		if l.world.sidecar.Count(l.line) == 0 {
			return fmt.Errorf("the log has no such line")
		}
		return nil
	case slices.Contains(redisCommands, named):
		var args []any
		for word := range strings.FieldsSeq(named) {
			args = append(args, word)
		}
		return l.world.redis.Client().Do(l.world.t.Context(), args...).Err()
	case strings.ToUpper(named) == named:
		out, _ := l.world.run("env")
		if !strings.Contains(out, named) {
			return fmt.Errorf("there is no such variable")
		}
		return nil
	}
	if l.line != "" && l.world.sidecar.Count(l.line+`.*"`+named+`":`) > 0 {
		return nil
	}
	err := l.inStatus(named)
	switch {
	case err == nil:
		l.field = named
	case l.field != "":
		return l.inStatus(l.field + "." + named)
	}
	return err
}

// has asks whether Prometheus has a series of this world.
func (l *look) has(expr string) error {
	for _, suffix := range []string{"", "_count"} { // of a histogram
		series, err := l.prometheus.query(inJob(expr, l.world.name, suffix))
		if err != nil || len(series) > 0 {
			return err
		}
	}
	return fmt.Errorf("prometheus has no series of it")
}

// inJob adds the job to the labels of the metrics of an expression.
func inJob(expr, job, suffix string) string {
	return regexp.MustCompile(`\b((?:sidecar|cache|jobs)_[a-z_]+)(\{)?`).
		ReplaceAllStringFunc(expr, func(m string) string {
			name, braced := strings.CutSuffix(m, "{")
			name += suffix
			if braced {
				return fmt.Sprintf("%s{job=%q, ", name, job)
			}
			return fmt.Sprintf("%s{job=%q}", name, job)
		})
}

// runs runs a command of the runbook, with a job for ID.
func (l *look) runs(command string) error {
	args := strings.Fields(strings.ReplaceAll(command, "ID", l.job))[1:]
	for i, arg := range args {
		args[i] = strings.ReplaceAll(arg, "URL", "/items/1")
	}
	out, status := l.world.run(args...)
	if m := jobID.FindStringSubmatch(out); m != nil {
		l.job = m[1]
	}
	want := 0
	if args[0] == "validate" {
		want = 1 // the file is faulty
	}
	if status != want {
		return fmt.Errorf("it exits with %d: %s", status, out)
	}
	return nil
}

// inStatus asks whether /status has a field, like redis.error.
func (l *look) inStatus(path string) error {
	doc, err := l.world.status()
	if err != nil {
		return err
	}
	at := any(doc)
	for name := range strings.SplitSeq(path, ".") {
		members, _ := at.(map[string]any)
		next, ok := members[name]
		if !ok {
			return fmt.Errorf("/status has no %s", path)
		}
		at = next
	}
	return nil
}
