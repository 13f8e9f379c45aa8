package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// A result is the outcome of a command.
type result struct {
	status         int
	stdout, stderr string
}

// runArgs runs a command as main would, without a process.
func runArgs(t *testing.T, env []string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status := dispatch(t.Context(), console{env: env, stdout: &stdout, stderr: &stderr}, args)
	return result{status, stdout.String(), stderr.String()}
}

// written writes a file and returns its path.
func written(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const (
	goodPolicies  = "version: 1\nroutes: []\n"
	badPolicies   = "version: 1\nroutes:\n  - match: GET /a\n    cahce: {scope: shared}\n"
	smellPolicies = "version: 1\nroutes:\n  - match: GET /a\n    cache: {scope: shared, ttl: 1h}\n"
)

func TestExitStatuses(t *testing.T) {
	good, bad := written(t, "good.yaml", goodPolicies), written(t, "bad.yaml", badPolicies)
	smelly := written(t, "smelly.yaml", smellPolicies)
	runs := []string{"REDIS_EMBEDDED=true", "LISTEN_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0"}
	for _, c := range []struct {
		name   string
		env    []string
		args   string
		status int
		says   string // on the standard output where the status is 0, else with the errors
	}{
		{"help", nil, "help", exitDone, "usage: sidecar"},
		{"help as a flag", nil, "--help", exitDone, "usage: sidecar"},
		{"help of run", nil, "run --help", exitDone, ""},
		{"help of validate", nil, "validate -h", exitDone, ""},
		{"help of purge", nil, "purge -h", exitDone, ""},
		{"help of demo", nil, "demo -h", exitDone, ""},
		{"help of explain", nil, "explain --help", exitDone, "METHOD URL"},
		{"help of healthcheck", nil, "healthcheck --help", exitDone,
			"usage: sidecar healthcheck [--ready]"},
		{"help of a command", nil, "help purge", exitDone,
			"usage: sidecar purge [--ops URL] [--all] TAG|URL..."},
		{"version as a flag", nil, "--version", exitDone, "sidecar " + version},
		{"completion for bash", nil, "completion bash", exitDone, "bash completion"},
		{"completion for zsh", nil, "completion zsh", exitDone, "#compdef sidecar"},
		{"completion for fish", nil, "completion fish", exitDone, "fish completion"},
		{"completion of commands", nil, "__complete va", exitDone, "validate"},
		{"completion of a format", nil, "__complete validate --format g", exitDone, "github"},
		{"a flag behind an argument", nil, "validate " + good + " --format json", exitDone, "[]"},
		{"a near miss of a command", nil, "valdate", exitUsage, "did you mean validate?"},
		{"a near miss of a flag", runs, "run --bakend http://a", exitUsage,
			"did you mean --backend?"},
		{"a near miss of a variable", []string{"REDIS_EMBEDDED=true", "POLICY_FILE=x",
			"POLICIES_FILE=/nowhere"}, "run", exitUsage, "did you mean POLICIES_FILE?"},
		{"a secret that can be guessed", []string{"REDIS_EMBEDDED=true", "KEY_SECRET=abc",
			"POLICIES_FILE=/nowhere"}, "run", exitUsage, "openssl rand -base64 32"},
		{"leave without a token", nil, "leave", exitUsage, "ADMIN_TOKEN is not set"},
		{"leave where nobody is", []string{"ADMIN_TOKEN=x"}, "leave --ops http://127.0.0.1:1",
			exitFaulty, "no sidecar answers"},
		{"healthcheck where nobody is", nil, "healthcheck --ops http://127.0.0.1:1", exitFaulty,
			"no sidecar answers"},
		{"healthcheck of no address", []string{"OPS_ADDR=9090"}, "healthcheck",
			exitUsage, "OPS_ADDR"},
		{"version", nil, "version", exitDone, "sidecar " + version},
		{"version of something", nil, "version x", exitUsage, "takes no arguments"},
		{"schema", nil, "schema", exitDone, "json-schema.org/draft-07"},
		{"schema of something", nil, "schema x", exitUsage, "takes no arguments"},
		{"env", nil, "env", exitDone, "REDIS_HOST"},
		{"env of something", nil, "env x", exitUsage, "takes no arguments"},
		{"no such command", nil, "valdate", exitUsage, `no command "valdate"`},
		{"validate", nil, "validate " + good, exitDone, "0 warnings, no faults"},
		{"validate with a warning", nil, "validate " + smelly, exitDone, ": 1 warning, no faults"},
		{"validate a faulty file", nil, "validate " + bad, exitFaulty, ""},
		{"validate no file", nil, "validate " + good + ".none", exitUsage, "no such file"},
		{"validate a directory", nil, "validate " + filepath.Dir(good), exitFaulty, "validate"},
		{"validate two files", nil, "validate " + good + " " + bad, exitUsage, "one file"},
		{"validate in no format", nil, "validate --format xml " + good, exitUsage, "xml"},
		{"validate with no such flag", nil, "validate --strict " + good, exitUsage, "strict"},
		{"validate what the environment names", []string{"POLICIES_FILE=" + good},
			"validate", exitDone, good},
		{"run with no such flag", runs, "run --port 1", exitUsage, "port"},
		{"run with an argument", runs, "run now", exitUsage, `"now" is too much`},
		{"run without a Redis", []string{"POLICIES_FILE=" + good}, "run", exitUsage,
			"no Redis is configured"},
		{"run with a variable that is none", append(runs, "REDIS_HSOT=a"), "run",
			exitUsage, "REDIS_HOST"},
		{"run with a faulty file", append(runs, "POLICIES_FILE="+bad), "", exitUsage, bad + ":4:5"},
		{"run with no file", append(runs, "POLICIES_FILE="+good+".none"), "",
			exitUsage, "no such file"},
		{"run with a backend that is none",
			append(runs, "POLICIES_FILE="+good, "BACKEND_URL=ftp://a"), "",
			exitUsage, "BACKEND_URL"},
		{"run with a key that is none",
			append(runs, "POLICIES_FILE="+good, "JOBS_ENCRYPTION_KEY=c2hvcnQ="), "",
			exitUsage, "5 bytes"},
		{"run with an empty secret", append(runs, "POLICIES_FILE="+good,
			"KEY_SECRET_FILE="+os.DevNull), "", exitUsage, "KEY_SECRET_FILE"},
		{"run with a malformed REDIS_URL",
			[]string{"REDIS_URL=redis://a:1#b@c", "POLICIES_FILE=" + good}, "", exitUsage,
			"REDIS_URL is no URL like redis://user:password@host"},
		{"purge nothing", []string{"ADMIN_TOKEN=x"}, "purge", exitUsage, "name the tags"},
		{"purge without a token", nil, "purge a", exitUsage, "ADMIN_TOKEN is not set"},
		{"purge where nobody is", []string{"ADMIN_TOKEN=x"}, "purge --ops http://127.0.0.1:1 a",
			exitFaulty, "no sidecar answers"},
		{"purge by host and port", []string{"ADMIN_TOKEN=x"}, "purge a --ops 127.0.0.1:1",
			exitFaulty, "no sidecar answers"},
		{"demo with an argument", nil, "demo --port 1", exitUsage, "port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := runArgs(t, c.env, strings.Fields(c.args)...)
			said := got.stdout
			if c.status != exitDone {
				said = got.stderr
			}
			if got.status != c.status || !strings.Contains(said, c.says) {
				t.Errorf("%+v, want status %d and %q", got, c.status, c.says)
			}
			if c.status == exitUsage && got.stdout != "" {
				t.Errorf("on the standard output: %s", got.stdout)
			}
		})
	}
}

func TestPoliciesFromTheStandardInput(t *testing.T) {
	for content, want := range map[string]int{goodPolicies: exitDone, badPolicies: exitFaulty} {
		var stdout, stderr bytes.Buffer
		c := console{stdin: strings.NewReader(content), stdout: &stdout, stderr: &stderr}
		if got := dispatch(t.Context(), c, []string{"validate", "-"}); got != want ||
			stdout.Len() == 0 {
			t.Errorf("%q: %d, %s%s", content, got, &stdout, &stderr)
		}
	}
}

func TestTheHealthCheckAsksTheOpsAddress(t *testing.T) {
	t.Parallel()
	e := embed(t)
	for _, args := range []string{
		"healthcheck --ops " + e.ops, "healthcheck --ready --ops " + e.ops,
	} {
		if strings.Contains(args, "ready") {
			e.ask("GET", e.data+"/items/1", "") // ready once the backend has answered
		}
		if got := runArgs(t, nil, strings.Fields(args)...); got.status != exitDone ||
			got.stderr != "" {
			t.Errorf("%s: %+v", args, got)
		}
	}
	e.leaving.Store(true)
	if got := runArgs(t, nil, "healthcheck", "--ready", "--ops", e.ops); got.status != exitFaulty ||
		!strings.Contains(got.stderr, "503") {
		t.Errorf("while it ends: %+v", got)
	}
}

func TestJobsAreLookedAtFromAShell(t *testing.T) {
	t.Parallel()
	e := embed(t)
	env := []string{"ADMIN_TOKEN=admin-secret"}
	for _, c := range []struct {
		args   string
		status int
		says   string
	}{
		{"jobs ls", exitDone, `"jobs": []`},
		{"jobs ls --status failed", exitDone, `"queues"`},
		{"jobs ls --status dead", exitFaulty, "status is queued"},
		{"jobs show AAAAAAAAAAAAAAAAAAAAAA", exitFaulty, "no such job"},
		{"jobs show -AAAAAAAAAAAAAAAAAAAAA", exitFaulty, "no such job"},
		{"jobs show --AAAAAAAAAAAAAAAAAAAA", exitFaulty, "no such job"},
		{"jobs cancel -- --AAAAAAAAAAAAAAAAAAAA", exitUsage, "accepts 1 arg"},
		{"jobs show --AAAAAAAAAA", exitUsage, "--AAAAAAAAAA"},
		{"jobs retry AAAAAAAAAAAAAAAAAAAAAA", exitFaulty, "no such job"},
		{"jobs cancel AAAAAAAAAAAAAAAAAAAAAA", exitFaulty, "no such job"},
	} {
		got := runArgs(t, env, append(strings.Fields(c.args), "--ops", e.ops)...)
		if got.status != c.status || !strings.Contains(got.stdout+got.stderr, c.says) {
			t.Errorf("%s: %+v", c.args, got)
		}
	}
}

func TestAStartThatIsRefusedIsInTheLogsFormat(t *testing.T) {
	t.Parallel()
	bad := written(t, "bad.yaml", badPolicies)
	for want, env := range map[string][]string{
		"REDIS_TIMEOUT": {"REDIS_TIMEOUT=soon"},
		bad + ":4:5: ":  {"REDIS_EMBEDDED=true", "POLICIES_FILE=" + bad},
	} {
		got := runArgs(t, append(env, "LOG_FORMAT=json"))
		found := false
		for line := range strings.Lines(got.stderr) {
			var l struct{ Level, Msg, Error string }
			if err := json.Unmarshal([]byte(line), &l); err != nil {
				t.Errorf("%q is no line of the log: %v", line, err)
			}
			found = found || l.Level == "ERROR" && strings.Contains(l.Error, want)
		}
		if !found || got.status != exitUsage || got.stdout != "" {
			t.Errorf("%s: %+v", want, got)
		}
	}
}

func TestAPurgeNamesTagsAndURLs(t *testing.T) {
	t.Parallel()
	e := embed(t)
	env := []string{"ADMIN_TOKEN=admin-secret"}
	got := runArgs(t, env, "purge", "item:1", "/items/1", "--ops", e.ops, "https://a/items/2")
	if got.status != exitDone || !strings.Contains(got.stdout, `"purged": 3`) {
		t.Errorf("%+v", got)
	}
	if !strings.Contains(got.stdout, `"carried": 0`) ||
		!strings.Contains(got.stderr, "misspelled") {
		t.Errorf("of tags that no response carries: %+v", got)
	}
	e.awaitHit("/items/1")
	got = runArgs(t, env, "purge", "item:1", "item:9", "--ops", e.ops)
	if !strings.Contains(got.stdout, `"carried": 1`) || got.stderr != "" {
		t.Errorf("of tags of which one is carried: %+v", got)
	}
	if got := runArgs(t, env, "purge", "itme:*", "--ops", e.ops); got.status != exitFaulty ||
		!strings.Contains(got.stderr,
			`400 Bad Request: Entries do not carry the family "itme:*": `) {
		t.Errorf("%+v", got)
	}
}

func TestFindingsInEachFormat(t *testing.T) {
	bad, smell := written(t, "bad.yaml", badPolicies), written(t, "smell.yaml", smellPolicies)
	for _, c := range []struct {
		file, format string
		status       int
		beginning    string
		says         []string
	}{
		{bad, "text", exitFaulty, bad + ":4:5: ",
			[]string{"    cahce: {scope: shared}", `"cache"`}},
		{bad, "json", exitFaulty, "[", []string{`"line": 4`, `"column": 5`}},
		{bad, "github", exitFaulty, "::error file=" + bad + ",line=4,col=5", nil},
		{smell, "text", exitDone, smell + ":", []string{"no faults"}},
		{smell, "json", exitDone, "[", []string{`"warning"`}},
		{smell, "github", exitDone, "::warning file=" + smell, nil},
	} {
		got := runArgs(t, nil, "validate", "--format", c.format, c.file)
		if got.status != c.status || !strings.HasPrefix(got.stdout, c.beginning) ||
			got.stderr != "" {
			t.Errorf("%s of %s: %+v", c.format, filepath.Base(c.file), got)
		}
		for _, s := range c.says {
			if !strings.Contains(got.stdout, s) {
				t.Errorf("%s of %s does not say %s: %s",
					c.format, filepath.Base(c.file), s, got.stdout)
			}
		}
	}
}

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	flags := pflag.NewFlagSet("run", pflag.ContinueOnError)
	overrides := overridesOf(flags)
	err := flags.Parse(
		strings.Fields("--backend http://b --listen :1 --ops=:2 --policies p.yaml --embedded"))
	want := map[string]string{
		"BACKEND_URL": "http://b", "LISTEN_ADDR": ":1", "OPS_ADDR": ":2", "POLICIES_FILE": "p.yaml",
		"REDIS_EMBEDDED": "true",
	}
	if err != nil || len(overrides) != len(want) {
		t.Errorf("%v, %v", overrides, err)
	}
	for name, value := range want {
		if overrides[name] != value {
			t.Errorf("%s is %q, want %q", name, overrides[name], value)
		}
	}
	// The faulty file is the environment's, and the flag's is read.
	env := []string{
		"POLICIES_FILE=" + written(t, "bad.yaml", badPolicies), "REDIS_HOST=127.0.0.1",
		"BACKEND_URL=ftp://from.env",
	}
	got := runArgs(t, env, "--embedded", "--policies", written(t, "good.yaml", goodPolicies))
	if got.status != exitUsage || !strings.Contains(got.stderr, "ftp") {
		t.Errorf("%+v", got)
	}
	got = runArgs(t, env, "--embedded", "--backend", "gopher://from.flag", "--policies",
		written(t, "good.yaml", goodPolicies))
	if got.status != exitUsage || !strings.Contains(got.stderr, "gopher") ||
		strings.Contains(got.stderr, "ftp") {
		t.Errorf("%+v", got)
	}
}

func TestWhereThePurgeCommandFindsTheSidecar(t *testing.T) {
	token := written(t, "token", "from a file\n")
	for _, c := range []struct {
		name       string
		env        []string
		ops        string
		url, token string
		fault      string
	}{
		{"the default", []string{"ADMIN_TOKEN=t"}, "", "http://127.0.0.1:9090", "t", ""},
		{"all addresses", []string{"ADMIN_TOKEN=t", "OPS_ADDR=0.0.0.0:1"}, "",
			"http://127.0.0.1:1", "t", ""},
		{"all addresses of IPv6", []string{"ADMIN_TOKEN=t", "OPS_ADDR=[::]:1"}, "",
			"http://127.0.0.1:1", "t", ""},
		{"one address", []string{"ADMIN_TOKEN=t", "OPS_ADDR=192.0.2.1:1"}, "",
			"http://192.0.2.1:1", "t", ""},
		{"a flag", []string{"ADMIN_TOKEN=t", "OPS_ADDR=:1"}, "http://a:2/", "http://a:2", "t", ""},
		{"a token in a file", []string{"ADMIN_TOKEN_FILE=" + token}, "", "http://127.0.0.1:9090",
			"from a file", ""},
		{"no such file", []string{"ADMIN_TOKEN_FILE=" + token + ".none"}, "", "", "",
			"ADMIN_TOKEN_FILE"},
		{"no address", []string{"ADMIN_TOKEN=t", "OPS_ADDR=9090"}, "", "", "", "OPS_ADDR"},
		{"no token", nil, "", "", "", "ADMIN_TOKEN is not set"},
	} {
		got, err := adminClient(c.env, c.ops)
		if c.fault != "" {
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("%s: %v", c.name, err)
			}
		} else if err != nil || got.url != c.url || got.token != c.token {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}
