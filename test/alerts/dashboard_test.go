package alerts

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	prom "github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"

	"sidecar/test/proc"
)

const dashboardFile = "../../monitoring/dashboard.json"

// emptyWhereAllIsWell are panels without a series, each with the reason.
var emptyWhereAllIsWell = map[string]string{}

// hasAllRules checks that each rule of the file is loaded, and can be evaluated.
func (p *prometheus) hasAllRules() {
	p.t.Helper()
	content, err := os.ReadFile("../../monitoring/rules.yaml")
	if err != nil {
		p.t.Fatal(err)
	}
	want := strings.Count(string(content), "\n      - alert: ")
	proc.Await(p.t, time.Minute, func() error {
		rules := p.rules()
		if len(rules) != want {
			return fmt.Errorf("%d rules are loaded, the file has %d", len(rules), want)
		}
		for _, r := range rules {
			if r.Health != "ok" {
				return fmt.Errorf("%s is %s: %s", r.Name, r.Health, r.LastError)
			}
		}
		return nil
	})
}

// A panels is the part of a dashboard with questions for Prometheus.
type panels struct {
	Templating struct {
		List []struct{ Type, Definition string }
	}
	Annotations struct{ List []struct{ Name, Expr string } }
	Panels      []struct {
		Type, Title string
		Targets     []struct{ Expr string }
	}
}

// showsAllPanels asks Prometheus as Grafana would for one job: each panel has a number.
func (p *prometheus) showsAllPanels(job string) {
	p.t.Helper()
	content, err := os.ReadFile(dashboardFile)
	var d panels
	if err == nil {
		err = json.Unmarshal(content, &d)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	vars := strings.NewReplacer("$job", job, "$instance", ".*", "$route", ".*",
		"$__rate_interval", "15s")
	empty := maps.Clone(emptyWhereAllIsWell)
	for _, panel := range d.Panels {
		for _, target := range panel.Targets {
			found, err := p.query(vars.Replace(target.Expr))
			if err != nil {
				p.t.Errorf("the panel %q: %v", panel.Title, err)
				continue
			}
			numbers := slices.DeleteFunc(found, func(s series) bool { return s.Value[1] == "NaN" })
			if _, ok := empty[panel.Title]; (len(numbers) == 0) != ok {
				p.t.Errorf("the panel %q has %d series with a number: %s",
					panel.Title, len(numbers),
					target.Expr)
			}
		}
		delete(empty, panel.Title)
	}
	for title := range empty {
		p.t.Errorf("there is no panel %q", title)
	}
	for _, a := range d.Annotations.List {
		if _, err := p.query(vars.Replace(a.Expr)); err != nil {
			p.t.Errorf("the annotation %q: %v", a.Name, err)
		}
	}
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		inner := strings.TrimSuffix(strings.TrimPrefix(v.Definition, "label_values("), ")")
		at := strings.LastIndex(inner, ", ")
		if at < 0 {
			p.t.Fatalf("%q asks for no values of a label", v.Definition)
		}
		var values []string
		err := p.api("label/"+inner[at+2:]+"/values",
			url.Values{"match[]": {vars.Replace(inner[:at])}}, &values)
		if err != nil || len(values) == 0 {
			p.t.Errorf("%s has the values %v: %v", v.Definition, values, err)
		}
	}
}

// Grafana's own types read the dashboard, and leave nothing over.
func TestTheDashboardIsOfGrafanasSchema(t *testing.T) {
	content, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	types := cog.NewRuntime()
	types.RegisterPanelcfgVariant(stat.VariantConfig())
	types.RegisterPanelcfgVariant(timeseries.VariantConfig())
	types.RegisterDataqueryVariant(prom.VariantConfig())
	//lint:ignore SA1019 the newer one is of another format
	var d dashboard.Dashboard
	// it gives an empty list for none
	if err := d.UnmarshalJSONStrict(content); err != nil && err.Error() != "" {
		t.Error(err)
	}
	if err := d.Validate(); err != nil {
		t.Error(err)
	}
}
