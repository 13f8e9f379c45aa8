package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sidecar/test/proc"
)

// exampleJob is the id in the examples of docs/jobs.md.
const exampleJob = "v343yoGK6wjjmbO2iM2LGw"

// clientBlocks are the blocks of code in the part of docs/jobs.md that is for clients.
func clientBlocks(t *testing.T) (blocks [][]string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/jobs.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(page), "\n## For clients\n")
	part, _, _ = strings.Cut(part, "\n## ")
	return regexp.MustCompile("(?s)\n```(\\w*)\n(.*?)\n```\n").FindAllStringSubmatch(part, -1)
}

// run runs a program to its end, and returns what it wrote.
func run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.WaitDelay = 10 * time.Second
	command.Env = append(proc.Env(), env...)
	output, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return strings.ReplaceAll(string(output), "\r", "")
}

// The commands for clients print the lines that the page shows, each after the one before. "…"
// stands for any text.
func TestTheJobsPageDoesWhatItSaysInAShell(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := strings.TrimPrefix(login(t, s.url, "thorin"), "Authorization: Bearer ")
	var script, shown []string
	for _, block := range clientBlocks(t) {
		switch block[1] {
		case "sh":
			script = append(script, strings.ReplaceAll(block[2], "http://127.0.0.1:8080", s.url),
				"echo")
		case "":
			shown = append(shown, strings.Split(block[2], "\n")...)
		}
	}
	if len(script) < 14 || len(shown) < 15 {
		t.Fatalf("%d lines of commands, %d lines of output", len(script), len(shown))
	}
	rest := run(t, []string{"TOKEN=" + token}, "sh", "-euc", strings.Join(script, "\n"))
	output, job := rest, ""
	for _, line := range shown {
		if line == "" {
			continue
		}
		pattern := strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".*")
		pattern = strings.ReplaceAll(pattern, exampleJob, "([A-Za-z0-9_-]{22})")
		at := regexp.MustCompile("(?m)^" + pattern + "$").FindStringSubmatchIndex(rest)
		if at == nil {
			t.Fatalf("%q does not come, or not there, in\n%s", line, output)
		}
		for i := 2; i < len(at); i += 2 {
			if id := rest[at[i]:at[i+1]]; job == "" {
				job = id
			} else if id != job {
				t.Errorf("%q is of the job %s, not %s, in\n%s", line, id, job, output)
			}
		}
		rest = rest[at[1]:]
	}
}

func TestTheJobsPageDoesWhatItSaysInAPage(t *testing.T) {
	t.Parallel()
	var code string
	for _, block := range clientBlocks(t) {
		if block[1] == "js" {
			code += block[2] + "\n"
		}
	}
	for _, path := range []string{
		"'/api/v1/npc/generate'", "(status_url,", "`${status_url}/result`",
	} {
		if !strings.Contains(code, path) {
			t.Errorf("the code does not ask for %s", path)
		}
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed: only the URLs are checked")
	}
	_, api := startGame(t, "NPC_DELAY=300ms")
	s := startBefore(t, api, shippedPolicies(t))
	// A page asks for paths; node wants the origin with them.
	before := `const auth = {Authorization: process.env.AUTHORIZATION}, real = fetch
globalThis.fetch = (path, options) => real(new URL(path, process.env.BASE), options)
`
	after := `for (const prompt of ['a smith', 'a smith', '']) {
  const answer = await generate(prompt, 'key of ' + prompt)
  console.log(answer.status, (await answer.text()).trim())
}
`
	file := filepath.Join(t.TempDir(), "page.mjs")
	if err := os.WriteFile(file, []byte(before+code+after), 0o600); err != nil {
		t.Fatal(err)
	}
	who := strings.TrimPrefix(login(t, s.url, "thorin"), "Authorization: ")
	got := strings.Split(strings.TrimSpace(
		run(t, []string{"BASE=" + s.url, "AUTHORIZATION=" + who}, node, file)), "\n")
	if len(got) != 3 || !strings.HasPrefix(got[0], "201 ") ||
		!strings.Contains(got[0], "a smith") || got[1] != got[0] {
		t.Errorf("%q", got)
	}
}
