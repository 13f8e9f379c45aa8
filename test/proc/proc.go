// Package proc builds and runs programs for tests. They are started as a user would start them,
// awaited by their output, and ended by signals.
package proc

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// endTimeout bounds how long a process may take to end after SIGTERM.
const endTimeout = 40 * time.Second

// maxLines bounds how many lines of a process's output are kept.
const maxLines = 400_000

// A Cmd is a command line. The process gets PATH, HOME and Env, and nothing else of the test's
// environment.
type Cmd struct {
	Path string
	Args []string
	Env  []string // KEY=value
	Dir  string
}

// A Proc is a running process. It is safe for concurrent use.
type Proc struct {
	t      testing.TB
	cmd    *exec.Cmd
	exited chan struct{}

	mu    sync.Mutex
	lines []string
	race  bool          // the race detector has reported one
	more  chan struct{} // closed and replaced when lines come
}

// exitTime is how many milliseconds a program with the race detector stays when its main
// function has returned, so that goroutines that it left behind are still watched. The
// detector's own second would be most of the run time of short programs.
const exitTime = "100"

// Start starts a process, which is ended when the test ends.
func Start(t testing.TB, c Cmd) *Proc {
	t.Helper()
	p := &Proc{t: t, cmd: exec.Command(c.Path, c.Args...), exited: make(chan struct{}),
		more: make(chan struct{})}
	p.cmd.Env = append(Env(), c.Env...)
	p.cmd.Dir = c.Dir
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", c.Path, err)
	}
	var readers sync.WaitGroup
	for _, r := range []io.Reader{out, errs} {
		readers.Go(func() { p.read(r) })
	}
	go func() { // ends with the process, which end kills
		readers.Wait()
		_ = p.cmd.Wait()
		close(p.exited)
	}()
	t.Cleanup(p.end)
	return p
}

// Env is the part of the environment that every process gets.
func Env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"GORACE=atexit_sleep_ms=" + exitTime,
	}
}

func (p *Proc) read(r io.Reader) {
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		p.mu.Lock()
		p.race = p.race || strings.Contains(scanner.Text(), "WARNING: DATA RACE")
		if len(p.lines) < maxLines {
			p.lines = append(p.lines, scanner.Text())
		}
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

// Lines are the lines that the process has printed so far.
func (p *Proc) Lines() []string {
	lines, _ := p.snapshot()
	return lines
}

func (p *Proc) snapshot() ([]string, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.lines...), p.more
}

// Count is how many lines match the pattern.
func (p *Proc) Count(pattern string) int {
	re, n := regexp.MustCompile(pattern), 0
	for _, line := range p.Lines() {
		if re.MatchString(line) {
			n++
		}
	}
	return n
}

// AwaitLine waits for a line that matches the pattern and returns the match and its groups.
func (p *Proc) AwaitLine(timeout time.Duration, pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	deadline := time.After(timeout)
	for {
		lines, more := p.snapshot()
		for _, line := range lines {
			if m := re.FindStringSubmatch(line); m != nil {
				return m
			}
		}
		select {
		case <-more:
		case <-p.exited:
			if lines, _ := p.snapshot(); re.FindStringSubmatch(strings.Join(lines, "\n")) == nil {
				p.t.Fatalf("%s ended without a line like %q:\n%s", p.name(), pattern, p.tail())
			}
		case <-deadline:
			p.t.Fatalf("%s printed no line like %q:\n%s", p.name(), pattern, p.tail())
		}
	}
}

// Signal sends a signal.
func (p *Proc) Signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%s: %v: %v", p.name(), s, err)
	}
}

// Kill ends the process at once, as a kernel out of memory would.
func (p *Proc) Kill() {
	p.t.Helper()
	_ = p.cmd.Process.Kill()
	<-p.exited
}

// Wait waits for the process to end and returns its exit status; -1 if a signal ended it.
func (p *Proc) Wait(timeout time.Duration) int {
	p.t.Helper()
	select {
	case <-p.exited:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(timeout):
		p.t.Fatalf("%s does not end:\n%s", p.name(), p.tail())
		return -1
	}
}

// Exited reports whether the process has ended.
func (p *Proc) Exited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// RSS is the process's resident memory in bytes.
func (p *Proc) RSS() int64 {
	p.t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(content))[1], 10, 64)
	if err != nil {
		p.t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// CPU is the time that the process has used processors.
func (p *Proc) CPU() time.Duration {
	p.t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(content), ") ") // the name may hold anything
	fields := strings.Fields(rest)
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / 100 // a tick of Linux
}

// PeakRSS is the most resident memory, in bytes, that the process has had since it began, or since
// ResetPeak.
func (p *Proc) PeakRSS() int64 {
	p.t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	m := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(content)
	if m == nil {
		p.t.Fatal("the kernel does not say how much memory a process had")
	}
	kib, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return kib << 10
}

// ResetPeak makes PeakRSS begin anew.
func (p *Proc) ResetPeak() {
	p.t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.cmd.Process.Pid),
		[]byte("5"), 0); err != nil {
		p.t.Fatal(err)
	}
}

// end ends the process as an operator would, and fails the test if it does not obey.
func (p *Proc) end() {
	if !p.Exited() {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
		select {
		case <-p.exited:
		case <-time.After(endTimeout):
			p.t.Errorf("%s did not end within %v after SIGTERM", p.name(), endTimeout)
			_ = p.cmd.Process.Kill()
			<-p.exited
		}
	}
	p.mu.Lock()
	race := p.race
	p.mu.Unlock()
	if race {
		p.t.Errorf("%s has a data race", p.name())
	}
	if p.t.Failed() {
		p.t.Logf("%s:\n%s", p.name(), p.tail())
	}
}

func (p *Proc) name() string { return filepath.Base(p.cmd.Path) }

// tail is the last lines of the output.
func (p *Proc) tail() string {
	lines := p.Lines()
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// builds are the binaries that this test process has built, by directory and tags.
var builds struct {
	sync.Mutex
	dir  string
	done map[string]*build
}

// A build is one program, built by the first test that wants it.
type build struct {
	once sync.Once
	path string
	err  error
}

// Build builds the program in dir, which may be of another module, and returns its path. Each test
// process builds a program once. With the race detector in the test, the program has it too.
func Build(t testing.TB, dir string, tags ...string) string {
	t.Helper()
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := buildOf(abs, tags)
	if err != nil {
		t.Fatal(err)
	}
	b.once.Do(func() { b.err = b.run(abs, tags) })
	if b.err != nil {
		t.Fatal(b.err)
	}
	return b.path
}

// BuildAhead begins to build the programs in these directories before a test asks for them. A
// failure is told to the test that does. TestMain calls wait before Clean.
func BuildAhead(dirs ...string) (wait func()) {
	var building sync.WaitGroup
	for _, dir := range dirs {
		building.Go(func() {
			abs, err := filepath.Abs(dir)
			if err != nil {
				return
			}
			if b, err := buildOf(abs, nil); err == nil {
				b.once.Do(func() { b.err = b.run(abs, nil) })
			}
		})
	}
	return building.Wait
}

func buildOf(dir string, tags []string) (*build, error) {
	builds.Lock()
	defer builds.Unlock()
	if builds.dir == "" {
		var err error
		if builds.dir, err = os.MkdirTemp("", "sidecar-test-"); err != nil {
			return nil, err
		}
		builds.done = map[string]*build{}
	}
	name := strings.Join(append([]string{dir}, tags...), " ")
	if builds.done[name] == nil {
		file := strings.Join(append([]string{filepath.Base(dir)}, tags...), "-")
		builds.done[name] = &build{path: filepath.Join(builds.dir, file)}
	}
	return builds.done[name], nil
}

func (b *build) run(dir string, tags []string) error {
	args := []string{"build", "-o", b.path}
	if raceEnabled {
		args = append(args, "-race")
	}
	if len(tags) > 0 {
		args = append(args, "-tags", strings.Join(tags, ","))
	}
	command := exec.Command("go", append(args, ".")...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("go build in %s: %w\n%s", dir, err, out)
	}
	return nil
}

// Clean removes the built programs. TestMain calls it after the tests.
func Clean() {
	builds.Lock()
	defer builds.Unlock()
	if builds.dir != "" {
		_ = os.RemoveAll(builds.dir)
	}
}

// SideBySide sets how many parallel tests run at once, unless -parallel is given. TestMain calls
// it: tests that mostly wait may be more than there are processors.
func SideBySide(n int) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(n)) // the flag is there in every test
	}
}

// Await asks until there is no error, and fails the test if there still is one after timeout.
func Await(t testing.TB, timeout time.Duration, ask func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal(errors.Join(errors.New("waited in vain"), err))
		}
	}
}
