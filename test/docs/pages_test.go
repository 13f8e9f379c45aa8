// Package docs follows README.md and the other pages from a clean clone of the last commit: it runs
// their commands, compares what they show, and fails where that does not hold.
package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the repository, from this directory.
const root = "../.."

// A block is code in a page.
type block struct {
	page, language, text string
	line                 int
}

var fence = regexp.MustCompile("(?ms)^ *```(\\w*)\n(.*?)^ *```$")

// blocks are those of one page of the repository, in their order.
func blocks(t *testing.T, page string) (found []block) {
	t.Helper()
	text := read(t, page)
	for _, m := range fence.FindAllStringSubmatchIndex(text, -1) {
		found = append(found, block{page, text[m[2]:m[3]], text[m[4]:m[5]],
			strings.Count(text[:m[0]], "\n") + 1})
	}
	return found
}

// beginning returns the one block of a page whose text begins so.
func beginning(t *testing.T, page, text string) string {
	t.Helper()
	for _, b := range blocks(t, page) {
		if strings.HasPrefix(b.text, text) {
			return b.text
		}
	}
	t.Fatalf("no block of %s begins with %q", page, text)
	return ""
}

func read(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// pages are all pages but the list of changes.
func pages(t *testing.T) []string {
	t.Helper()
	found := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "coherence-model/README.md",
		"examples/gameapi/README.md", "k8s/README.md"}
	inDocs, err := filepath.Glob(filepath.Join(root, "docs/*.md"))
	if err != nil || len(inDocs) < 15 {
		t.Fatalf("%d pages in docs: %v", len(inDocs), err)
	}
	for _, page := range inDocs {
		found = append(found, "docs/"+filepath.Base(page))
	}
	return found
}

// A claim says what becomes of the blocks of a page that begin so: which test follows them, as
// "file: name", or why nothing can.
type claim struct{ page, begins, test, because string }

const (
	here    = "test/docs/"
	cluster = "it needs a cluster; the tests of k8s decode what it is given"
	drawing = "a drawing"
)

// claims account for every block that is no policies file. Those are validated, all of them.
var claims = []claim{
	{"README.md", "client ──▶", "", drawing},
	{"README.md", "git clone REPOSITORY", here + "clone_test.go: clone", ""},
	{"README.md", "make demo", here + "readme_test.go: TestTheDemo", ""},
	{"README.md", "make test", "", "CI runs it"},
	{"README.md", "A game API listens", here + "readme_test.go: TestTheDemo", ""},
	{"README.md", "HTTP/1.1 200 OK", here + "readme_test.go: TestTheDemo", ""},
	{"README.md", "make build", here + "readme_test.go: TestUseIt", ""},
	{"README.md", "BACKEND_URL=", here + "readme_test.go: TestUseIt", ""},
	{"docs/architecture.md", "listen  ", "", "file names, which docs_test.go looks up"},
	{"docs/architecture.md", "cmd/sidecar  ", "", "rows, which layout_test.go has too"},
	{"docs/first-policies.md", "bin/sidecar init",
		here + "firstpolicies_test.go: TestFirstPolicies", ""},
	{"docs/jobs.md", "CREATE TABLE",
		"examples/gameapi/jobsdoc_test.go: TestTheStepsOfTheJobsPageDoTheWorkOnce", ""},
	{"docs/jobs.md", "const pause",
		"test/e2e/jobsdoc_test.go: TestTheJobsPageDoesWhatItSaysInAPage", ""},
	{"docs/jobs.md", "", "test/e2e/jobsdoc_test.go: TestTheJobsPageDoesWhatItSaysInAShell", ""},
	{"docs/kubernetes.md", "patches:", "", cluster},
	{"docs/kubernetes.md", "apiVersion:", "", cluster},
	{"docs/kubernetes.md", "kubectl", "", cluster},
	{"docs/operations.md", "BACKEND_URL=", here + "operations_test.go: TestOperations", ""},
	{"docs/operations.md", "kubectl port-forward", "", cluster},
	{"docs/operations.md", "sidecar explain", here + "operations_test.go: TestOperations", ""},
	{"docs/operations.md", `"verified":`, here + "operations_test.go: TestOperations", ""},
	{"docs/operations.md", `"mget"`, here + "operations_test.go: TestOperations", ""},
	{"docs/operations.md", "id=3", here + "operations_test.go: TestOperations", ""},
	{"docs/operations.md", "used_memory", here + "operations_test.go: TestOperations", ""},
	{"docs/operations.md", "asynq stats", "", "asynq's command line is a program of others"},
	{"docs/performance.md", "sudo apt-get", "", "it installs programs, and measures for minutes"},
	{"docs/performance.md", "make bench", "",
		"it measures for minutes; bench_test.go does briefly"},
	{"docs/policies.md", "# yaml-language-server",
		"docs_test.go: TestEveryPoliciesFileNamesTheSchema", ""},
	{"docs/redis.md", "while token=", here + "operations_test.go: TestATokenThatIsWrittenAnew", ""},
	{"docs/redis.md", "redis-cli ACL", "test/e2e/acl_test.go: TestTheACLOfTheDocsIsEnough", ""},
	{"docs/start.md", "git clone", here + "clone_test.go: clone", ""},
	{"docs/start.md", "", "test/e2e/start_test.go: TestTheStartPageDoesWhatItSays", ""},
	{"docs/tracing.md", "OTEL_EXPORTER", here + "operations_test.go: TestTraces", ""},
	{"examples/gameapi/README.md", "", here + "readme_test.go: TestTheGameAPI", ""},
}

// A block that nobody follows is a fault, and so is a claim without a block or a test.
func TestEveryBlockIsFollowedOrCannotBe(t *testing.T) {
	used := make([]bool, len(claims))
	count := 0
	for _, page := range pages(t) {
		for _, b := range blocks(t, page) {
			count++
			if isPolicies(b) {
				continue
			}
			at := slices.IndexFunc(claims, func(c claim) bool {
				return c.page == b.page && strings.HasPrefix(b.text, c.begins)
			})
			if at < 0 {
				t.Errorf("%s:%d: nothing follows this block: %.60q", b.page, b.line, b.text)
			} else {
				used[at] = true
			}
		}
	}
	if count < 50 {
		t.Errorf("only %d blocks were found", count)
	}
	for i, c := range claims {
		if !used[i] {
			t.Errorf("%s has no block any more that begins with %q", c.page, c.begins)
		}
		file, name, _ := strings.Cut(c.test, ": ")
		switch {
		case (c.test == "") == (c.because == ""):
			t.Errorf("%s, %q: either a test or a reason", c.page, c.begins)
		case c.test != "" && !strings.Contains(read(t, file), "\nfunc "+name):
			t.Errorf("%s, %q: %s has no %s", c.page, c.begins, file, name)
		}
	}
}

func isPolicies(b block) bool {
	return b.language == "yaml" && strings.HasPrefix(b.text, "version: 1\n")
}

// Tests and programs that the pages name by their path are there.
func TestEveryGoCommandNamesWhatIsThere(t *testing.T) {
	command := regexp.MustCompile("go (?:test|run) [^`\n]*")
	found := 0
	for _, page := range pages(t) {
		for _, named := range command.FindAllString(read(t, page), -1) {
			dir := filepath.Dir(page)
			var sources strings.Builder
			for _, word := range strings.Fields(named) {
				if !strings.HasPrefix(word, "./") && word != "." || strings.HasSuffix(word, "...") {
					continue
				}
				if word != "." {
					dir = word
				}
				files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
				if err != nil || len(files) == 0 {
					t.Errorf("%s: %s: there is no package %s", page, named, word)
				}
				for _, file := range files {
					content, err := os.ReadFile(file)
					if err != nil {
						t.Fatal(err)
					}
					sources.Write(content)
				}
			}
			test := regexp.MustCompile(`-(?:run|bench) '?\^?(\w+)`).FindStringSubmatch(named)
			if sources.Len() == 0 || test == nil || test[1] == "TestName" {
				continue
			}
			found++
			if !regexp.MustCompile(`\nfunc (Test|Benchmark)?` + test[1]).
				MatchString(sources.String()) {
				t.Errorf("%s: %s: there is no %s", page, named, test[1])
			}
		}
	}
	if found < 4 {
		t.Errorf("only %d commands with a test were found", found)
	}
}
