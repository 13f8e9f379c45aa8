package policy

import (
	"net/http"
	"os"
	"testing"
	"time"

	"sidecar/internal/httpfield"
)

// FuzzLoad: every file has a fault with a place, or policies by which requests can be planned.
func FuzzLoad(f *testing.F) {
	example, err := os.ReadFile("../policies.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example, "/api/v1/characters/1")
	f.Add([]byte("version: 1\nroutes:\n  - {match: GET /, cache: {scope: shared}}\n"), "//a/%2F..")
	f.Add([]byte("version: 1\nroutes: &a\n  - *a\n"), "/")
	f.Add([]byte("a: [\n\t{"), "*")
	f.Fuzz(func(t *testing.T, content []byte, path string) {
		table, found, err := Load(content, testOptions())
		if err != nil {
			for _, x := range found.List {
				if x.Line < 1 || x.Column < 1 || x.Msg == "" {
					t.Errorf("a finding without a place: %+v", x)
				}
			}
			return
		}
		for _, method := range []string{
			http.MethodGet, http.MethodPost, http.MethodDelete, http.MethodOptions,
		} {
			plan := table.Plan(httpfield.Request{
				Method: method, Authority: "a", Path: path, Fields: httpfield.Header{},
			}, time.Now())
			if plan.Kind == Read && plan.Read == nil || (plan.Kind == Write || plan.Kind == Job) &&
				plan.Write == nil || plan.Kind == Job && plan.Job == nil {
				t.Errorf("%s %q: %+v", method, path, plan)
			}
			if plan.Kind == Write {
				plan.Write.Tags(nil, http.StatusOK, httpfield.Header{}, nil)
			}
		}
	})
}
