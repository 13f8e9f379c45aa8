package config_test

import (
	"errors"
	"flag"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sidecar/internal/config"
)

var update = flag.Bool("update", false, "rewrite testdata/mistakes.txt")

const mistakesFile = "testdata/mistakes.txt"

// testdata/mistakes.txt has the mistakes that people make in the environment: lines that begin with
// "$ " set a variable each, and below them is all that is told. Where no Redis is named, it is an
// embedded one; "$ no Redis" leaves that out.
func TestMistakesInTheEnvironmentAreToldWithTheRemedy(t *testing.T) {
	content, err := os.ReadFile(mistakesFile)
	if err != nil {
		t.Fatal(err)
	}
	var rewritten []string
	count := 0
	for section := range strings.SplitSeq(strings.TrimSpace(string(content)), "\n\n") {
		var environ, want []string
		for line := range strings.SplitSeq(section, "\n") {
			if set, ok := strings.CutPrefix(line, "$ "); ok {
				environ = append(environ, set)
				rewritten = append(rewritten, line)
			} else if line != "-" {
				want = append(want, line)
			}
		}
		count++
		got := toldOf(t, environ)
		rewritten = append(append(rewritten, got...), "")
		if *update {
			continue
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%q\ngot\n\t%s\nwant\n\t%s", environ, strings.Join(got, "\n\t"),
				strings.Join(want, "\n\t"))
		}
		for _, line := range want {
			if strings.Contains(line, "strconv") || strings.Contains(line, "parse ") {
				t.Errorf("%q: words of a library: %s", environ, line)
			}
		}
		if len(want) == 0 {
			t.Errorf("%q: nothing is told", environ)
		}
	}
	if count < 90 {
		t.Errorf("%d mistakes", count)
	}
	if *update {
		if err := os.WriteFile(mistakesFile,
			[]byte(strings.Join(rewritten, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// redis is a variable that names a Redis, or nearly so.
var redis = regexp.MustCompile(
	`^(JOBS_)?REDIS_(HOST|URL|EMBEDDED|MASTER|SENTINEL|CLUSTER|ADDR)[A-Z_]*=`)

// toldOf are the faults of an environment, or its warnings.
func toldOf(t *testing.T, environ []string) (lines []string) {
	t.Helper()
	if !slices.ContainsFunc(environ, func(set string) bool {
		return set == "no Redis" || redis.MatchString(set)
	}) {
		environ = append(environ, "REDIS_EMBEDDED=true")
	}
	c, err := config.Load(environ, nil)
	if err != nil {
		var faults config.Faults
		if !errors.As(err, &faults) {
			t.Fatalf("%q: %v", environ, err)
		}
		return strings.Split(faults.Error(), "\n")
	}
	for _, w := range config.Warnings(environ, c) {
		lines = append(lines, "warning: "+w.Error())
	}
	return lines
}
