package policy

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
)

const anID = "550e8400-e29b-41d4-a716-446655440000"

// After a write under one spelling of an id nothing under another one is a hit.
func TestAnIDInSeveralSpellings(t *testing.T) {
	table := table(t, "",
		`{name: c, match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id}"]}}`,
		`{name: write, match: "PUT /c/{id}", invalidate: ["c:{id}"]}`,
		`{name: body, match: "POST /c", invalidate: ["c:{request.body.id}"]}`,
	)
	spelled := map[string][]string{
		"5": {"05", "+5", "5%20", "5.json", "5.0", "%D9%A5", "5e0", "%2B5", "0x5", "0b101",
			"0o5", "5%EF%BB%BF"},
		// Java reads groups of any length, Python digits of any script.
		"0" + anID[1:]:           {anID[1:], "000" + anID[1:]},
		anID[:len(anID)-1] + "5": {anID[:len(anID)-1] + "%D9%A5"},
		anID: {strings.ToUpper(anID), strings.ReplaceAll(anID, "-", ""), "{" + anID + "}",
			"urn:uuid:" + anID, anID + ".json"},
	}
	for id, others := range spelled {
		for _, other := range others {
			if got := texts(
				done(table.Plan(request("PUT", "/c/"+other), now))); !slices.Contains(got, "c:*") ||
				!slices.Contains(got, "c:"+id) {
				t.Errorf("PUT /c/%s: %q", other, got)
			}
			announced, _ := table.Plan(request("PUT", "/c/"+other), now).Write.Announced(nil)
			if got := texts(announced); !slices.Contains(got, "c:*") {
				t.Errorf("PUT /c/%s announces %q", other, got)
			}
			if p := table.Plan(request("GET", "/c/"+other), now); p.Kind == Read &&
				!slices.Contains(texts(p.Read.Carried), "c:"+id) {
				t.Errorf("GET /c/%s carries %q", other, texts(p.Read.Carried))
			}
		}
		wantTags(t, "the canonical spelling", done(table.Plan(request("PUT", "/c/"+id), now)),
			"c:"+id, "/c/"+id)
	}
	p := table.Plan(request("POST", "/c"), now)
	wantTags(t, "a text in a body", p.Write.Unknown(jsonBody(`{"id":"05"}`)), "c:05",
		"c:5", "c:*", "/c")
	wantTags(t, "a number in a body", p.Write.Unknown(jsonBody(`{"id":5.0}`)), "c:5", "/c")
}

// A reader that stops at the first byte that is no digit takes 5-name for 5.
func TestAWriteUnderANumberWithATextBehindIt(t *testing.T) {
	table := table(t, "", `{match: "PUT /c/{id}", invalidate: ["c:{id}"]}`,
		`{match: "PATCH /c/{id}", invalidate: ["c:{id}"]}`)
	for id, number := range map[string]string{
		"5-name": "5", "5abc": "5", "-5x": "-5", "+05,": "5", "5'": "5", "%205%20OR": "5",
	} {
		got := texts(done(table.Plan(request("PUT", "/c/"+id), now)))
		if !slices.Contains(got, "c:"+number) || slices.Contains(got, "c:*") {
			t.Errorf("PUT /c/%s: %q", id, got)
		}
	}
	for _, id := range []string{"5", "name-5", anID} {
		if got := done(table.Plan(request("PUT", "/c/"+id), now)); len(got) != 2 {
			t.Errorf("PUT /c/%s: %q", id, texts(got))
		}
	}
	req := request("POST", "/c/5-name", "Content-Type: application/x-www-form-urlencoded")
	req.HasBody = true
	p := table.Plan(req, now)
	wantTags(t, "a POST that is a PUT", p.Write.Unknown(NewBody([]byte("_method=PUT"), req.Fields)),
		"/c/5-name", "c:5-name", "c:5")
}

func TestAFilterMakesOneSpelling(t *testing.T) {
	table := table(t, "",
		`{name: c, match: "GET /c/{id}", cache: {scope: shared, tags: ["c:{id|int}"]}}`,
		`{name: write, match: "PUT /c/{id}", invalidate: ["c:{id|int}"]}`,
		`{name: d, match: "PUT /d/{id}", invalidate: ["d:{id|uuid}"]}`,
	)
	wantTags(t, "PUT /c/05", done(table.Plan(request("PUT", "/c/05"), now)), "c:5", "/c/05")
	wantTags(t, "PUT /c/x", done(table.Plan(request("PUT", "/c/x"), now)), "c:*", "/c/x")
	upper := strings.ToUpper(anID)
	wantTags(t, "PUT /d/"+upper, done(table.Plan(request("PUT", "/d/"+upper), now)),
		"d:"+anID, "/d/"+anID)
	if p := table.Plan(request("GET", "/c/05"), now); p.Kind != Read ||
		!slices.Contains(texts(p.Read.Carried), "c:5") {
		t.Errorf("GET /c/05: kind %d", p.Kind)
	}
	if p := table.Plan(request("GET", "/c/x"), now); p.Kind != Pass ||
		p.Bypass != reason.TemplateUnfilled {
		t.Errorf("GET /c/x: kind %d, %s", p.Kind, p.Bypass)
	}
}

func TestAParameterThatMayBeAbsent(t *testing.T) {
	table := table(t, "",
		`{name: c, match: "GET /c", cache: {scope: shared, tags: ["c", "c:{query.expand?}"]}}`,
		`{name: write, match: "PUT /c", invalidate: ["c", "c:{query.expand?}:x"]}`,
	)
	for target, want := range map[string][]string{
		"/c":          {"c", "c:*", "/c"},
		"/c?other=1":  {"c", "c:*", "/c"},
		"/c?expand=a": {"c", "c:a", "c:*", "/c"},
	} {
		p := table.Plan(request("GET", target), now)
		if p.Kind != Read {
			t.Errorf("GET %s: kind %d, %s", target, p.Kind, p.Bypass)
			continue
		}
		wantTags(t, "GET "+target, p.Read.Carried, want...)
	}
	for _, target := range []string{
		"/c?expand=a&expand=b", "/c?expand=", "/c?Expand=a", "/c?expand[]=a",
	} {
		if p := table.Plan(request("GET", target), now); p.Kind != Pass {
			t.Errorf("GET %s: kind %d", target, p.Kind)
		}
	}
	for target, want := range map[string][]string{
		"/c":                   {"c", "/c"},
		"/c?expand=a":          {"c", "c:a:x", "/c"},
		"/c?expand=a&expand=b": {"c", "c:*", "/c"},
		"/c?EXPAND=a":          {"c", "c:*", "/c"},
		"/c?expand[0]=a":       {"c", "c:*", "/c"},
		"/c?a=1;expand=a":      {"c", "c:*", "/c"}, // some servers split there
		// too many to be read
		"/c?expand=a" + strings.Repeat("&a", maxParams+1): {"c", "c:*", "/c"},
	} {
		wantTags(t, "PUT "+target, done(table.Plan(request("PUT", target), now)), want...)
	}
}

// Names that some backend takes for one count as repeated.
func TestNamesOfParametersThatFoldAlikeAreRepeated(t *testing.T) {
	table := table(t, "", `{name: write, match: "PUT /c", invalidate: ["c:{query.id}"]}`)
	for target, want := range map[string]string{
		"/c?id=1":             "c:1",
		"/c?id=1&other=2":     "c:1",
		"/c?id=1&idx=2":       "c:1",
		"/c?id=1&id=2":        "c:*",
		"/c?id=1&%20id=8":     "c:*",
		"/c?id=1&id%00x=9":    "c:*",
		"/c?id=1&ID=10":       "c:*",
		"/c?id=1&[id]=11":     "c:*",
		"/c?id=1&id[]=12":     "c:*",
		"/c?id=1&id[0]=12":    "c:*",
		"/c?id=1&%69d=13":     "c:*",
		"/c?id=1&id.=14":      "c:*",
		"/c?id=1&%C4%B1d=15":  "c:*",
		"/c?id=1;id=2":        "c:*",
		"/c?id=1&id%0a=16":    "c:*",
		"/c?id=1&amp;id=17":   "c:*",
		"/c?id=1&%69%64%20=1": "c:*",
	} {
		if got := texts(done(table.Plan(request("PUT", target), now))); !slices.Contains(got,
			want) {
			t.Errorf("%s: %q lack %s", target, got, want)
		}
	}
}

func TestAFieldWithATwinIsNotCertain(t *testing.T) {
	table := table(t, "", `{name: write, match: "PUT /c", invalidate: ["c:{header.X-Tenant}"]}`)
	wantTags(t, "alone", done(table.Plan(request("PUT", "/c", "X-Tenant: a"), now)), "c:a", "/c")
	wantTags(t, "with its twin",
		done(table.Plan(request("PUT", "/c", "X-Tenant: a", "X_Tenant: b"), now)), "c:*", "/c")
	wantTags(t, "twice", done(table.Plan(request("PUT", "/c", "X-Tenant: a", "X-Tenant: b"), now)),
		"c:*", "/c")
}

func TestAContentTypeWithATwinIsNotCertain(t *testing.T) {
	table := table(t, "", `{match: "POST /c", invalidate: ["c:{request.body.id}"]}`,
		`{match: "PUT /c", deny: true}`)
	req := request("POST", "/c", "Content-Type: application/json",
		"Content_Type: application/x-www-form-urlencoded")
	req.HasBody = true
	p := table.Plan(req, now)
	wantTags(t, "with a twin", p.Write.Unknown(NewBody([]byte(`{"id":5}`), req.Fields)), "c:*",
		"/c")
	if p.Write.DeniedBy(NewBody([]byte("_m%65thod=PUT"), req.Fields)) == "" {
		t.Error("a form passes for JSON")
	}
}

// A body is read as its Content-Type says, and as nothing else.
func TestABodyThatIsNotJSONByItsContentTypeIsTheFamily(t *testing.T) {
	table := table(t, "", `{name: write, match: "PUT /c", invalidate: ["c:{request.body.id}"]}`)
	for _, c := range []struct {
		types []string
		body  string
		want  string
	}{
		{[]string{"application/json"}, `{"id":5}`, "c:5"},
		{[]string{"application/merge-patch+json"}, `{"id":5}`, "c:5"},
		{[]string{"application/json; charset=utf-8"}, `{"id":5}`, "c:5"},
		{[]string{"application/json; charset=utf-7"}, `{"id":5}`, "c:*"},
		{[]string{"application/x-www-form-urlencoded"}, `{"id":5}`, "c:*"},
		{[]string{"text/plain"}, `{"id":5}`, "c:*"},
		{nil, `{"id":5}`, "c:*"},
		{[]string{"application/json", "text/plain"}, `{"id":5}`, "c:*"},
		{[]string{"application/json"}, `{"id":9007199254740993}`, "c:*"},
		{[]string{"application/json"}, `{"id":1e400}`, "c:*"},
		{[]string{"application/json"}, "{\"id\":\"\xff\"}", "c:*"},
		{[]string{"application/json"}, `{"id":5.0}`, "c:5"},
		{[]string{"application/json"}, `{"id":0.7E+1}`, "c:7"},
		{[]string{"application/json"}, `{"id":1,"ıd":2}`, "c:*"},
		{[]string{"application/json"}, `{"id":[1,2.0]}`, "c:2"},
	} {
		h := http.Header{"Content-Type": c.types}
		tags := table.Plan(request("PUT", "/c"),
			now).Write.Unknown(NewBody([]byte(c.body), httpfield.Header(h)))
		if got := texts(tags); !slices.Contains(got, c.want) {
			t.Errorf("%q %s: %q lack %s", c.types, c.body, got, c.want)
		}
	}
}

// A write that names more groups than can be told apart may mean any group, also one that an entry
// with few names carries.
func TestTooManyInvalidatedGroupsInvalidateEverything(t *testing.T) {
	table := table(t, "", `{name: c, match: "GET /c", cache: {scope: shared}}`)
	for n, everything := range map[int]bool{64: false, 65: true} {
		var groups []string
		for i := range n {
			groups = append(groups, fmt.Sprintf("%q", strconv.Itoa(i)))
		}
		fields := httpfield.Header{"Cache-Group-Invalidation": {strings.Join(groups, ", ")}}
		tags := table.Plan(request("POST", "/x"), now).Write.Tags(nil, http.StatusOK, fields, nil)
		if slices.Contains(tags, cachekeys.All) != everything {
			t.Errorf("%d groups: %q", n, texts(tags))
		}
	}
}

// One function reads the authority of a request, for names that answers give and for Location.
func TestGroupsBelongToAnAuthorityHoweverItIsWritten(t *testing.T) {
	table := table(t, "", `{name: c, match: "GET /c", cache: {scope: shared}}`)
	groups := httpfield.Header{"Cache-Groups": {`"g"`}, "Cache-Group-Invalidation": {`"g"`}}
	read := table.Plan(request("GET", "/c"), now).Read.Surrogates(groups)
	if len(read) != 1 {
		t.Fatal(read)
	}
	for _, authority := range []string{
		"api.example", "api.example:80", "api.example:", "api.example.", "API.example",
		"api.example:443", "api.example.:80", "api.example:0080", "%61pi.example",
	} {
		req := request("POST", "/x")
		req.Authority = authority
		if tags := table.Plan(req, now).Write.Tags(nil, http.StatusOK, groups,
			nil); !slices.Contains(tags, read[0]) {
			t.Errorf("%s: %q", authority, texts(tags))
		}
		location := httpfield.Header{"Location": {"http://" + authority + "/moved"}}
		if tags := table.Plan(request("POST", "/x"), now).Write.Tags(nil, http.StatusOK, location,
			nil); !slices.Contains(texts(tags), "/moved") {
			t.Errorf("Location at %s: %q", authority, texts(tags))
		}
	}
	// The names that a proxy tells in the place of its own count too.
	for _, field := range []string{
		"X-Forwarded-Host: API.example:443", "X-Forwarded-Host: a, api.example",
		`Forwarded: for=1;host="api.example:80"`,
	} {
		req := request("POST", "/x", field)
		req.Authority = "service:8080"
		if tags := table.Plan(req, now).Write.Tags(nil, http.StatusOK, groups,
			nil); !slices.Contains(tags, read[0]) {
			t.Errorf("%s: %q", field, texts(tags))
		}
		location := httpfield.Header{"Location": {"https://api.example/moved"}}
		if tags := table.Plan(req, now).Write.Tags(nil, http.StatusOK, location,
			nil); !slices.Contains(texts(tags), "/moved") {
			t.Errorf("%s, Location: %q", field, texts(tags))
		}
	}
	req := request("POST", "/x")
	req.Authority = "other.example"
	if tags := table.Plan(req, now).Write.Tags(nil, http.StatusOK, groups,
		nil); slices.Contains(tags, read[0]) {
		t.Errorf("another authority: %q", texts(tags))
	}
}
