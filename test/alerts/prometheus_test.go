package alerts

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"sidecar/test/proc"
)

// haste divides every duration of the rules: Prometheus scrapes and evaluates once a second for
// once a minute, and an hour is a minute. The expressions are those of the file.
const haste = 60

// durations are those of PromQL and of the rules' fields, and the seconds to which the age of a job
// is compared.
var durations = regexp.MustCompile(`(\[|for: |offset |_seconds\) > )(\d+)([smh]?)`)

// hurried is the file of rules with each duration divided by haste.
func hurried(t *testing.T, rules string) string {
	t.Helper()
	out := durations.ReplaceAllStringFunc(rules, func(found string) string {
		part := durations.FindStringSubmatch(found)
		n, err := strconv.Atoi(part[2])
		if err != nil {
			t.Fatal(err)
		}
		unit := map[string]time.Duration{
			"": time.Second, "s": time.Second, "m": time.Minute, "h": time.Hour,
		}[part[3]]
		ms := (time.Duration(n) * unit / haste).Milliseconds()
		if part[3] == "" {
			return fmt.Sprint(part[1], float64(ms)/1000)
		}
		return fmt.Sprint(part[1], ms, "ms")
	})
	if left := regexp.MustCompile(`(?m)^[^#]*\b\d+[mh]\b.*$`).FindString(out); left != "" {
		t.Fatalf("a duration of the rules is not hurried: %s", left)
	}
	return out
}

// A prometheus is Debian's, which scrapes the sidecars and evaluates the hurried rules.
type prometheus struct {
	t   *testing.T
	url string
}

// startPrometheus scrapes each world as a job of its own.
func startPrometheus(t *testing.T, worlds []*world) *prometheus {
	t.Helper()
	path, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatal("prometheus is missing: apt-get install prometheus")
	}
	rules, err := os.ReadFile("../../monitoring/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := "global: {scrape_interval: 1s, evaluation_interval: 1s}\n" +
		"rule_files: [rules.yaml]\nscrape_configs:\n"
	for _, w := range worlds {
		config += fmt.Sprintf("  - {job_name: %s, static_configs: [{targets: [%q]}]}\n",
			w.name, strings.TrimPrefix(w.ops, "http://"))
	}
	for name, content := range map[string]string{
		"prometheus.yml": config, "rules.yaml": hurried(t, string(rules)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	process := proc.Start(t, proc.Cmd{Path: path, Args: []string{
		"--config.file=" + filepath.Join(dir, "prometheus.yml"),
		"--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=127.0.0.1:0",
	}})
	at := process.AwaitLine(time.Minute, `msg="Listening on" address=(\S+)`)
	p := &prometheus{t: t, url: "http://" + at[1]}
	proc.Await(t, time.Minute, func() error {
		resp, err := http.Get(p.url + "/-/ready")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("prometheus answers %s", resp.Status)
		}
		return nil
	})
	return p
}

// api asks Prometheus's HTTP API, and reads data into v.
func (p *prometheus) api(path string, query url.Values, v any) error {
	resp, err := http.Get(p.url + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return fmt.Errorf("%w: %s", err, body)
	}
	if answer.Status != "success" {
		return fmt.Errorf("prometheus: %s", answer.Error)
	}
	return json.Unmarshal(answer.Data, v)
}

// A series is one of a vector, with its present value.
type series struct {
	Metric map[string]string
	Value  [2]any // time, and the number as text
}

// query evaluates an expression now.
func (p *prometheus) query(expr string) (found []series, err error) {
	var data struct{ Result []series }
	err = p.api("query", url.Values{"query": {expr}}, &data)
	return data.Result, err
}

// An alert is a rule, or a state of one.
type alert struct {
	Name, State, Health, LastError string
	Query                          string
	Labels                         map[string]string
}

// rules are the rules that are loaded.
func (p *prometheus) rules() []alert {
	p.t.Helper()
	var data struct{ Groups []struct{ Rules []alert } }
	if err := p.api("rules", nil, &data); err != nil {
		p.t.Fatal(err)
	}
	var out []alert
	for _, g := range data.Groups {
		out = append(out, g.Rules...)
	}
	return out
}

// firing are the alerts that fire now for a job.
func (p *prometheus) firing(job string) (names map[string]bool, err error) {
	var data struct{ Alerts []alert }
	if err := p.api("alerts", nil, &data); err != nil {
		return nil, err
	}
	names = map[string]bool{}
	for _, a := range data.Alerts {
		if a.State == "firing" && a.Labels["job"] == job {
			names[a.Labels["alertname"]] = true
		}
	}
	return names, nil
}

// fired are the alerts that have fired for a job since the beginning.
func (p *prometheus) fired(job string) map[string]bool {
	p.t.Helper()
	found, err := p.query(fmt.Sprintf(
		`max by (alertname) (max_over_time(ALERTS{alertstate="firing", job=%q}[1h]))`, job))
	if err != nil {
		p.t.Fatal(err)
	}
	names := map[string]bool{}
	for _, s := range found {
		names[s.Metric["alertname"]] = true
	}
	return names
}
