package policy

import (
	"testing"

	"sidecar/internal/reason"
)

func TestABypassNamesItsTemplate(t *testing.T) {
	table := table(t, "caller: {jwt: {secret_env: JWT_SECRET, algorithms: [HS256]}}",
		`{name: c, match: "GET /c", cache: {scope: shared, tags: [all, "c:{query.page}"]}}`,
		`{name: org, match: "GET /org", cache: {scope: "{claim.org}"}}`,
	)
	for target, want := range map[string]string{"/c": "c:{query.page}",
		"/c?page=":  "c:{query.page}",
		"/c?page=1": "", "/org": "{claim.org}", "/other": ""} {
		plan := table.Plan(request("GET", target), now)
		if plan.Unfilled != want || (want != "") != (plan.Bypass == reason.TemplateUnfilled) {
			t.Errorf("GET %s: %s, template %q, want %q", target, plan.Bypass, plan.Unfilled, want)
		}
	}
}

func TestAGETThatCountsAsAWriteSaysWhy(t *testing.T) {
	table := table(t, "", `{name: c, match: "GET /c", cache: {scope: shared}}`)
	withBody := request("GET", "/c")
	withBody.HasBody = true
	if plan := table.Plan(withBody, now); plan.Kind != Write || plan.Bypass != reason.RequestBody {
		t.Errorf("a GET with a body: kind %d, %q", plan.Kind, plan.Bypass)
	}
	for _, req := range []struct{ target, field string }{
		{"/c", "X-HTTP-Method-Override: PUT"}, {"/c?_method=DELETE", "Accept: */*"},
	} {
		plan := table.Plan(request("GET", req.target, req.field), now)
		if plan.Kind != Write || plan.Bypass != reason.MethodOverride {
			t.Errorf("%v: kind %d, %q", req, plan.Kind, plan.Bypass)
		}
	}
	if plan := table.Plan(request("PUT", "/c"), now); plan.Kind != Write || plan.Bypass != "" {
		t.Errorf("a PUT: kind %d, %q", plan.Kind, plan.Bypass)
	}
}
