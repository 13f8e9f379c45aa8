package docs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sidecar/test/proc"
)

// cloned is the clone that all tests of the package follow the pages in.
var cloned struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	proc.Clean()
	if cloned.dir != "" {
		_ = os.RemoveAll(filepath.Dir(cloned.dir))
	}
	os.Exit(code)
}

// clone does what the pages begin with, once, and returns the directory: it has bin/sidecar then.
func clone(t *testing.T) string {
	t.Helper()
	whole := strings.TrimSpace(beginning(t, "docs/start.md", "git clone"))
	first, _, _ := strings.Cut(beginning(t, "README.md", "git clone"), "  ")
	if whole != first+" && make build" {
		t.Fatalf("README.md says %q, and docs/start.md %q", first, whole)
	}
	cloned.once.Do(func() {
		cloned.err = func() error {
			repository, err := filepath.Abs(root)
			if err != nil {
				return err
			}
			parent, err := os.MkdirTemp("", "sidecar-docs-")
			if err != nil {
				return err
			}
			cloned.dir = filepath.Join(parent, "sidecar")
			script := strings.ReplaceAll(whole, "REPOSITORY", "file://"+repository)
			command := exec.Command("sh", "-euc", script)
			command.Dir = parent
			if out, err := command.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w\n%s", script, err, out)
			}
			return nil
		}()
	})
	if cloned.err != nil {
		t.Fatal(cloned.err)
	}
	return cloned.dir
}

// A shell follows a page: with a directory of its own, and free ports for those of the page.
type shell struct {
	t    *testing.T
	dir  string
	env  []string
	swap *strings.Replacer
	// data, ops and api are the addresses that the pages call 127.0.0.1:8080, :9090 and :3000.
	data, ops, api string
}

// open returns a shell in dir, in which bin/sidecar is that of the clone.
func open(t *testing.T, dir string, env ...string) *shell {
	t.Helper()
	s := &shell{t: t, dir: dir, data: freeAddress(t), ops: freeAddress(t), api: freeAddress(t)}
	s.swap = strings.NewReplacer("127.0.0.1:8080", s.data, "127.0.0.1:9090", s.ops,
		"127.0.0.1:3000", s.api)
	bin := filepath.Join(clone(t), "bin")
	s.env = append([]string{"LISTEN_ADDR=" + s.data, "OPS_ADDR=" + s.ops, "SHUTDOWN_DELAY=0",
		"GAME_ADDR=" + s.api, "PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"REDIS_TIMEOUT=5s"}, env...)
	if _, err := os.Stat(filepath.Join(dir, "bin")); err != nil {
		if err := os.Symlink(bin, filepath.Join(dir, "bin")); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func (s *shell) command(ctx context.Context, script string) *exec.Cmd {
	command := exec.CommandContext(ctx, "sh", "-euc", s.swap.Replace(script))
	command.Dir, command.Env, command.WaitDelay = s.dir, s.env, 10*time.Second
	return command
}

// run runs a script to its end, and returns what it printed and its status.
func (s *shell) run(script string) (output string, status int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Minute)
	defer cancel()
	command := s.command(ctx, script)
	out, err := command.CombinedOutput()
	if command.ProcessState == nil || command.ProcessState.ExitCode() < 0 {
		s.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return strings.ReplaceAll(string(out), "\r", ""), command.ProcessState.ExitCode()
}

// must is run for a script that has to succeed.
func (s *shell) must(script string) string {
	s.t.Helper()
	output, status := s.run(script)
	if status != 0 {
		s.t.Fatalf("%s: status %d\n%s", script, status, output)
	}
	return output
}

// A running is a program in the foreground of a terminal of its own.
type running struct {
	mu     sync.Mutex
	output bytes.Buffer
	stop   func()
}

// Write implements io.Writer for the program's output.
func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.output.Write(p)
}

func (r *running) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.output.String()
}

// start starts a script that goes on until Ctrl-C. The end of the test is that, at the latest.
func (s *shell) start(script string) *running {
	s.t.Helper()
	r := &running{}
	command := s.command(context.Background(), script)
	command.Stdout, command.Stderr = r, r
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { // ends with the process, which stop ends
		_ = command.Wait()
		close(ended)
	}()
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			group := -command.Process.Pid
			_ = syscall.Kill(group, syscall.SIGINT)
			select {
			case <-ended:
			case <-time.After(40 * time.Second):
				s.t.Errorf("Ctrl-C does not end %s", script)
				_ = syscall.Kill(group, syscall.SIGKILL)
				<-ended
			}
			if s.t.Failed() {
				printed := strings.Split(r.String(), "\n")
				s.t.Logf("%s:\n…\n%s", script,
					strings.Join(printed[max(0, len(printed)-12):], "\n"))
			}
		})
	}
	s.t.Cleanup(r.stop)
	return r
}

// await waits until the program has printed a line that matches the pattern.
func (s *shell) await(r *running, pattern string) {
	s.t.Helper()
	line := regexp.MustCompile("(?m)" + pattern)
	proc.Await(s.t, 3*time.Minute, func() error {
		if !line.MatchString(r.String()) {
			return fmt.Errorf("no line matches %s in\n%s", pattern, r)
		}
		return nil
	})
}

// ready waits until the sidecar of the shell takes traffic.
func (s *shell) ready() {
	s.t.Helper()
	proc.Await(s.t, time.Minute, func() error {
		if status, body := s.ask("GET", s.ops, "/readyz"); status != http.StatusOK {
			return fmt.Errorf("/readyz: %d %s", status, body)
		}
		return nil
	})
}

// ask sends a request without content, and returns status and content.
func (s *shell) ask(method, address, target string, fields ...string) (status int, body string) {
	s.t.Helper()
	status, _, body = s.exchange(method, address, target, "", fields...)
	return status, body
}

// exchange sends a request, and returns the answer; status 0 if there is none.
func (s *shell) exchange(method, address, target, content string, fields ...string,
) (status int, header http.Header, body string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+address+target,
		strings.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		if r.Header.Set(name, value); name == "Host" {
			r.Host = value
		}
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(all)
}

// masks are what differs from run to run: addresses, times, lifetimes.
var masks = []*regexp.Regexp{
	regexp.MustCompile(`127\.0\.0\.1:\d+`),
	regexp.MustCompile(`\d+\.\d+s$`),
	regexp.MustCompile(`ttl=\d+`),
	regexp.MustCompile(`^Age: \d+`),
}

// pattern matches the lines that a line of the docs stands for. "…" is any text.
func pattern(line string) string {
	var b strings.Builder
	for line != "" {
		at, length, quoted := len(line), 0, ""
		for _, m := range masks {
			if found := m.FindStringIndex(line); found != nil && found[0] < at {
				at, length = found[0], found[1]-found[0]
				quoted = strings.TrimSuffix(strings.TrimPrefix(m.String(), "^"), "$")
			}
		}
		if i := strings.Index(line, "…"); i >= 0 && i < at {
			at, length, quoted = i, len("…"), ".*"
		}
		b.WriteString(regexp.QuoteMeta(line[:at]) + quoted)
		line = line[at+length:]
	}
	return "(?m)^" + b.String() + "$"
}

// prints checks that the output has the lines that a page shows, each after the one before.
func prints(t *testing.T, shown, output string) {
	t.Helper()
	rest, count := output, 0
	for line := range strings.Lines(shown) {
		if line = strings.TrimRight(line, "\n "); line == "" || line == "…" {
			continue
		}
		at := regexp.MustCompile(pattern(line)).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("%q does not come, or not there, in\n%s", line, output)
		}
		rest = rest[at[1]:]
		count++
	}
	if count == 0 {
		t.Error("the page shows nothing")
	}
}
