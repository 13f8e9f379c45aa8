package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const openAPI = `openapi: 3.1.0
info: {title: items, version: "1"}
paths:
  /items/{id}:
    get: {responses: {"200": {description: item, content: {application/json: {}}}}}
    put: {responses: {"204": {description: done}}}
`

func TestInitWritesAFileThatValidates(t *testing.T) {
	document, file := written(
		t,
		"openapi.yaml",
		openAPI,
	), filepath.Join(
		t.TempDir(),
		"policies.yaml",
	)
	got := runArgs(t, []string{"POLICIES_FILE=" + file}, "init", document)
	if got.status != exitDone ||
		!strings.Contains(got.stdout, "2 routes are live") ||
		got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	if got := runArgs(t, nil, "validate", file); got.status != exitDone ||
		!strings.Contains(got.stdout, ", no faults") {
		t.Errorf("%+v", got)
	}
	if got := runArgs(t, nil, "explain", "--policies", file, "PUT", "/items/5"); !strings.Contains(
		got.stdout,
		"items:5",
	) {
		t.Errorf("%+v", got)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o444 == 0 {
		t.Errorf("%v, %v", info, err)
	}
}

func TestInitReplacesNoFileUnlessTold(t *testing.T) {
	document, file := written(t, "openapi.yaml", openAPI), written(t, "policies.yaml", "mine\n")
	content := func() string {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	got := runArgs(t, nil, "init", "-o", file, document)
	if got.status != exitFaulty || !strings.Contains(got.stderr, file+" "+
		"exists") || content() != "mine\n" {
		t.Errorf("%+v, %s", got, content())
	}
	got = runArgs(t, nil, "init", "--force", "-o", file, document)
	if got.status != exitDone || !strings.Contains(content(),
		"GET /items/{id}") || strings.Contains(content(), "mine") {
		t.Errorf("%+v, %s", got, content())
	}
}

func TestWhereInitReadsADocument(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openapi.yaml" {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = w.Write([]byte(openAPI))
	}))
	defer server.Close()
	withSecrets := strings.Replace(server.URL, "http://", "http://user:geheim@", 1)
	for _, c := range []struct {
		args, stdin string
		status      int
		says        string
	}{
		{"init -o - " + written(t, "a.yaml", openAPI), "", exitDone, "match: GET /items/{id}"},
		{"init -o - -", openAPI, exitDone, "from standard input"},
		{"init -o - " + withSecrets + "/openapi.yaml?key=geheim", "", exitDone,
			"match: GET /items/{id}"},
		{"init -o - --base /v2 -", openAPI, exitDone, "match: GET /v2/items/{id}"},
		{"init -o - " + withSecrets + "/none?key=geheim", "", exitFaulty, "answers 404"},
		{"init -o - http://user:geheim@127.0.0.1:1/x?key=geheim", "", exitFaulty, "refused"},
		{"init -o - http://user:geheim@[/x", "", exitFaulty, "no URL"},
		{"init -o - " + written(t, "b.yaml", "openapi: [\n"), "", exitFaulty, "b.yaml:2: "},
		{"init -o - /none/openapi.yaml", "", exitFaulty, "no such file"},
		{"init -o /none/policies.yaml -", openAPI, exitFaulty, "match: GET /items/{id}"},
		{"init", "", exitUsage, "name one OpenAPI document"},
		{"init --base v2 -", openAPI, exitUsage, "--base is a path"},
		{"init --help", "", exitDone,
			"usage: sidecar init [-o FILE] [--force] [--base PATH] DOCUMENT"},
	} {
		var stdout, stderr bytes.Buffer
		console := console{stdin: strings.NewReader(c.stdin), stdout: &stdout, stderr: &stderr}
		status := dispatch(t.Context(), console, strings.Fields(c.args))
		said := stdout.String() + stderr.String()
		if status != c.status || !strings.Contains(said, c.says) {
			t.Errorf("%s: %d, %s", c.args, status, said)
		}
		if strings.Contains(said, "geheim") {
			t.Errorf("%s: it tells a secret: %s", c.args, said)
		}
	}
}
