package policy

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/policy/yamldoc"
)

const (
	deniesA = "version: 1\nroutes: [{name: a, match: GET /a, deny: true}]\n"
	deniesB = "version: 1\nroutes: [{name: b, match: GET /b, deny: true}]\n"
	faulty  = "version: 1\nroutes: [{name: a, match: GET /a, deny: perhaps}]\n"
)

// await waits for a condition, ten seconds at most.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within ten seconds", what)
		}
	}
}

// A watched is a source that runs, with its reports.
type watched struct {
	*Source
	mu    sync.Mutex
	log   bytes.Buffer
	tells []error
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(p)
}

func (w *watched) told() (good, bad int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, err := range w.tells {
		if err == nil {
			good++
		} else {
			bad++
		}
	}
	return good, bad
}

func (w *watched) logged(text string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Count(w.log.String(), text)
}

// open opens the file and runs the source until the test ends.
func open(t *testing.T, path string) *watched {
	t.Helper()
	w := &watched{}
	s, err := Open(path, testOptions(), slog.New(slog.NewTextHandler(w, nil)), func(err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.tells = append(w.tells, err)
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Source = s
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(10 * time.Second):
			t.Error("Run goes on after its context is done")
		}
	})
	return w
}

func denies(s *Source, path string) bool {
	req := httpfield.Request{Method: "GET", Authority: "a", Path: path, Fields: httpfield.Header{}}
	return s.Table().Plan(req, time.Now()).Kind == Deny
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policies.yaml")
	write(t, path, content)
	return path
}

func TestAChangedFileIsTakenWithinSeconds(t *testing.T) {
	t.Parallel()
	path := file(t, deniesA)
	s := open(t, path)
	first, at := s.Table(), s.LoadedAt()
	if !denies(s.Source, "/a") || denies(s.Source, "/b") {
		t.Fatal("the file that was there is not in force")
	}
	write(t, path, deniesB)
	await(t, "the new file", func() bool { return denies(s.Source, "/b") })
	if denies(s.Source, "/a") || s.Table().Version() == first.Version() || !s.LoadedAt().After(at) {
		t.Error("something of the old file is left")
	}
	if good, bad := s.told(); good != 1 || bad != 0 {
		t.Errorf("told of %d good and %d bad files", good, bad)
	}
}

// Kubernetes writes a new directory and swaps the symbolic link ..data to it; times need not go
// forward.
func TestASwappedDirectoryAsOfAConfigMapIsTaken(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	for i, content := range []string{deniesA, deniesB} {
		version := filepath.Join(dir, fmt.Sprintf("..%d", i))
		if err := os.Mkdir(version, 0o700); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(version, "policies.yaml")
		write(t, name, content)
		old := now.Add(-time.Duration(i) * time.Hour) // the second is older
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..0", "..data")
	link("..data/policies.yaml", "policies.yaml")
	s := open(t, filepath.Join(dir, "policies.yaml"))
	link("..1", "..data_tmp")
	if err := os.Rename(filepath.Join(dir, "..data_tmp"),
		filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	await(t, "the swapped directory", func() bool { return denies(s.Source, "/b") })
}

func TestABadFileLeavesTheOldTableAndIsToldOnce(t *testing.T) {
	t.Parallel()
	path := file(t, deniesA)
	s := open(t, path)
	before := s.Table()
	write(t, path, faulty)
	await(t, "the fault", func() bool {
		return strings.Contains(s.Fault(), "deny is true or false")
	})
	// Nothing tells that a bad file is looked at again but the clock: two more ticks.
	end := time.Now().Add(2*reloadEvery + reloadEvery/2)
	await(t, "two ticks", func() bool { return time.Now().After(end) })
	if _, bad := s.told(); bad != 1 || s.logged("level=ERROR") != 1 {
		t.Errorf("told %d times, logged:\n%s", bad, s.log.String())
	}
	if s.Table() != before || !denies(s.Source, "/a") {
		t.Error("the old table is gone")
	}
	write(t, path, deniesA)
	await(t, "the file mended", func() bool { return s.Fault() == "" })
}

func TestAFileThatWasAwayForAWhileIsNoFaultAnyMore(t *testing.T) {
	t.Parallel()
	path := file(t, deniesA)
	s := open(t, path)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	await(t, "the missing file is told", func() bool { return s.Fault() != "" })
	if !denies(s.Source, "/a") {
		t.Error("the old table is gone")
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	await(t, "no fault", func() bool { return s.Fault() == "" })
}

func TestReloadReadsTheFileAtOnce(t *testing.T) {
	t.Parallel()
	path := file(t, deniesA)
	s, err := Open(path, testOptions(), slog.New(slog.DiscardHandler), nil) // Run is not needed
	if err != nil {
		t.Fatal(err)
	}
	before := s.Table()
	if err := s.Reload(); err != nil || s.Table() == before {
		t.Errorf("unchanged: %v, the same table: %t", err, s.Table() == before)
	}
	write(t, path, deniesB)
	if err := s.Reload(); err != nil || !denies(s, "/b") {
		t.Errorf("changed: %v", err)
	}
	write(t, path, faulty)
	for range 2 {
		if err := s.Reload(); err == nil || !denies(s, "/b") || s.Fault() != err.Error() {
			t.Errorf("faulty: %v, fault %q", err, s.Fault())
		}
	}
	write(t, path, deniesA)
	if err := s.Reload(); err != nil || !denies(s, "/a") || s.Fault() != "" {
		t.Errorf("mended: %v, fault %q", err, s.Fault())
	}
}

func TestSmellsOfTheFileInForceAreLogged(t *testing.T) {
	t.Parallel()
	s := open(t, file(t, "version: 1\nroutes: [{match: GET /a, cache: {scope: shared}}]\n"))
	if s.logged("level=WARN") != 1 {
		t.Errorf("logged:\n%s", s.log.String())
	}
}

func TestEqualSmellsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	s := open(t, file(t, "version: 1\nroutes:\n"+
		"  - {match: GET /a, cache: {scope: shared}}\n"+
		"  - {match: GET /b, cache: {scope: shared}}\n"+
		"  - {match: GET /c, cache: {scope: shared}}\n"))
	if s.logged("level=WARN") != 1 || s.logged("(2 more like this, in lines 4, 5)") != 1 {
		t.Errorf("logged:\n%s", s.log.String())
	}
}

func TestAFileThatCannotBeHadIsNotOpened(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ path, want string }{
		"missing":     {filepath.Join(t.TempDir(), "no.yaml"), "POLICIES_FILE"},
		"a directory": {t.TempDir(), "cannot be read"},
		"too long":    {file(t, strings.Repeat("#", yamldoc.MaxSize+1)), "longer than 1024 KiB"},
		"faulty":      {file(t, faulty), "deny is true or false"},
	} {
		if s, err := Open(c.path, testOptions(), slog.New(slog.DiscardHandler), nil); err == nil ||
			s != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
