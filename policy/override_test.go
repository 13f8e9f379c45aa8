package policy

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"sidecar/internal/httpfield"
)

func TestABodyMayNameTheMethod(t *testing.T) {
	table := table(t, "",
		`{name: put, match: "PUT /c/{id}", invalidate: ["put:{id}"]}`,
		`{name: delete, match: "DELETE /c/{id}", invalidate: ["deleted:{id}"]}`,
		`{name: internal, match: "PATCH /c/{id}", deny: true}`,
	)
	const form, json, multipart = "application/x-www-form-urlencoded", "application/json",
		"multipart/form-data; boundary=b"
	part := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" +
			value + "\r\n--b--\r\n"
	}
	both := []string{"put:1", "deleted:1", "/c/1"}
	for _, c := range []struct {
		contentType, content string
		want                 []string
		denied               bool
	}{
		{form, "a=b", []string{"/c/1"}, false},
		{form, "a=b&_method=PUT", []string{"put:1", "/c/1"}, false},
		{form, "_METHOD=delete", []string{"deleted:1", "/c/1"}, false},
		{form, "%5fmethod=P%55T", []string{"put:1", "/c/1"}, false},
		{form, "[method=PUT", []string{"put:1", "/c/1"}, false},
		{form, "_method=PUT&_method=DELETE", both, false},
		{form, "_method=patch", []string{"/c/1"}, true},
		{form, "a=b;_method=PUT", both, true},
		{form, strings.Repeat("a&", maxFormFields+1), both, true},
		{json, `{"_method":"PUT"}`, []string{"put:1", "/c/1"}, false},
		{json, `{"payment_method":"PUT"}`, []string{"/c/1"}, false},
		{multipart, part("a", "b"), []string{"/c/1"}, false},
		{multipart, part("_method", "PUT"), both, true},
		{"text/plain", "hello", []string{"/c/1"}, false},
		// names in escapes, where the type is not clear or the form has them
		{"application/x-www-form-urlencoded; x", "_m%65thod=PUT", both, true},
		{"", "_m%65thod=PUT", both, true},
		{"text/plain", `{"_\u006dethod":"PUT"}`, both, false},
		{form + "; charset=ibm037", "%6D%94%85%A3%88%96%84=%D7%E4%E3", both, true},
		{multipart, part(`_m\ethod`, "PUT"), both, true},
		{multipart, "--b\r\nContent-Disposition: form-data; name*=utf-8''_m%65thod\r\n\r\nPUT\r\n" +
			"--b--\r\n", both, true},
		{multipart, part("a", `50% of C:\dir`), []string{"/c/1"}, false},
		{"image/png", `\x89PNG%`, []string{"/c/1"}, false},
	} {
		req := request("POST", "/c/1", "Content-Type: "+c.contentType)
		req.HasBody = true
		plan := table.Plan(req, now)
		if plan.Kind != Write || !plan.Write.Matched {
			t.Fatalf("kind %d, matched %t", plan.Kind, plan.Write.Matched)
		}
		sent := NewBody([]byte(c.content),
			httpfield.Header(http.Header{"Content-Type": {c.contentType}}))
		wantTags(t, c.contentType+" "+c.content[:min(40, len(c.content))],
			plan.Write.Unknown(sent), c.want...)
		announced, _ := plan.Write.Announced(sent)
		wantTags(t, "announced", announced, c.want...)
		if denied := plan.Write.DeniedBy(sent) == "internal"; denied != c.denied {
			t.Errorf("%s %.40q: denied %t", c.contentType, c.content, denied)
		}
	}
}

// A body that is too long to be in hand may name any of the methods.
func TestABodyThatIsNotInHandMayNameAnyMethod(t *testing.T) {
	table := table(t, "",
		`{name: put, match: "PUT /c/{id}", invalidate: ["put:{id}"]}`,
		`{name: internal, match: "DELETE /c/{id}", deny: true}`,
	)
	for contentType, denied := range map[string]bool{
		"application/x-www-form-urlencoded": true, "multipart/form-data; boundary=b": true,
		"": true, "application/json": false, "image/png": false,
	} {
		req := request("POST", "/c/1", "Content-Type: "+contentType)
		req.HasBody = true
		plan := table.Plan(req, now)
		if got := texts(plan.Write.Unknown(nil)); !slices.Contains(got, "put:1") {
			t.Errorf("%s: %q", contentType, got)
		}
		if got := plan.Write.DeniedBy(nil) != ""; got != denied {
			t.Errorf("%s: denied %t", contentType, got)
		}
	}
}

// Every head of 64 KiB costs little: the work is counted in bytes allocated.
func TestAPlanOfAnyHeadIsCheap(t *testing.T) {
	table := table(t, "",
		`{name: c, match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id}", "q:{query.id?}"]}}`,
		`{name: put, match: "PUT /c/{id}", invalidate: ["c:{id}", "q:{query.id}"]}`,
		`{match: "POST /internal/", deny: true}`)
	const size, most = 64 << 10, 2 << 20
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	for what, req := range map[string]httpfield.Request{
		"slashes":        request("PUT", "/"+fill("/")),
		"escapes":        request("PUT", "/"+fill("%2F")),
		"double escapes": request("PUT", "/"+fill("%252F")),
		"dots":           request("PUT", fill("/..")),
		"segments":       request("PUT", fill("/c/5")),
		"letters":        request("PUT", fill("/É")),
		"parameters":     request("PUT", "/c/5?"+fill("&")),
		"a long name":    request("PUT", "/c/5?"+fill("ı")+"=1"),
		"methods":        request("PUT", "/c/5", "X-HTTP-Method-Override: "+fill("A,")),
		"destinations":   request("MOVE", "/c/5", "Destination: /"+fill("/;")),
		"a read":         request("GET", "/c/5?"+fill("id&")),
		"a deep read":    request("GET", fill("/a/%2e%2e")),
	} {
		if n := allocated(func() { table.Plan(req, now) }); n > most {
			t.Errorf("%s: %d bytes", what, n)
		}
	}
}
