package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestObserveEndsByItself(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policies.yaml")
	args := "observe --for 200ms --listen 127.0.0.1:0 --ops 127.0.0.1:0 -o " + file
	got := runArgs(t, []string{"REDIS_HOST=none.invalid", "LOG_FORMAT=json"},
		strings.Fields(args)...)
	if got.status != exitDone || !strings.Contains(got.stdout, "0 routes are live") ||
		!strings.Contains(got.stderr, `"msg":"ended"`) {
		t.Fatalf("%+v", got)
	}
	content, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(content), "0 requests in ") {
		t.Errorf("%s, %v", content, err)
	}
	if got := runArgs(t, nil, "validate", file); got.status != exitDone {
		t.Errorf("%+v", got)
	}
	// It would replace that file, and says so before it begins.
	if got := runArgs(t, nil, "observe", "-o", file); got.status != exitFaulty ||
		!strings.Contains(got.stderr, file+" exists") || strings.Contains(got.stderr, "listening") {
		t.Errorf("%+v", got)
	}
}

func TestObserveThatCannotBegin(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for args, says := range map[string]string{
		"--backend ftp://a":                 "BACKEND_URL",
		"--listen " + taken.Addr().String(): "LISTEN_ADDR",
		"--for -1s":                         "--for is a time",
		"--for soon":                        "soon",
		"now":                               "takes no arguments",
		"--ops 127.0.0.1:0 --listen 127.0.0.1:x1": "LISTEN_ADDR",
	} {
		file := filepath.Join(t.TempDir(), "policies.yaml")
		got := runArgs(t, nil, strings.Fields("observe -o "+file+" "+args)...)
		if _, err := os.Stat(file); got.status != exitUsage ||
			!strings.Contains(got.stderr, says) ||
			err == nil {
			t.Errorf("%s: %+v", args, got)
		}
	}
}
