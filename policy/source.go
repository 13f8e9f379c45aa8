package policy

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/policy/yamldoc"
)

// reloadEvery is how often the file is looked at.
const reloadEvery = time.Second

// A Source is a policies file that is read again when it changes. It is safe for concurrent use.
type Source struct {
	path     string
	options  Options
	log      *slog.Logger
	reloaded func(error)
	table    atomic.Pointer[Table]
	loadedAt atomic.Int64 // Unix nanoseconds

	swap   chan *Table // a table that Run has to take care of
	faults atomic.Pointer[string]

	mu           sync.Mutex
	sum, inForce [sha256.Size]byte // of the content read last, good or bad, and of that in force
}

// Open reads the file at path. An error is the findings, or why it cannot be read. reloaded, which
// may be nil, is told of each later attempt to load.
func Open(path string, o Options, log *slog.Logger, reloaded func(error)) (*Source, error) {
	if reloaded == nil {
		reloaded = func(error) {}
	}
	if o.File == "" {
		o.File = path
	}
	s := &Source{path: path, options: o, log: log, reloaded: reloaded, swap: make(chan *Table, 1)}
	content, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := s.load(content); err != nil {
		return nil, err
	}
	return s, nil
}

// ReadFile reads a policies file, or says why it cannot be read and how to mend that.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: POLICIES_FILE says where the policies are", err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, yamldoc.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	if len(content) > yamldoc.MaxSize {
		return nil, fmt.Errorf("%s is longer than %d KiB: that is no policies file",
			path, yamldoc.MaxSize>>10)
	}
	return content, nil
}

// Table is the table in force.
func (s *Source) Table() *Table { return s.table.Load() }

// Plan is Table.Plan by the table in force.
func (s *Source) Plan(req httpfield.Request, now time.Time) *Plan {
	return s.Table().Plan(req, now)
}

// LoadedAt is when it was loaded.
func (s *Source) LoadedAt() time.Time { return time.Unix(0, s.loadedAt.Load()) }

// load puts a file's content in force. With a fault the old policies stay.
func (s *Source) load(content []byte) error {
	t, found, err := Load(content, s.options)
	if err != nil {
		return err
	}
	for _, f := range found.ToldSmells() {
		s.log.Warn("policies: "+f.Msg, "file", found.File, "line", f.Line, "column", f.Column)
	}
	s.sum = sha256.Sum256(content)
	s.inForce = s.sum
	s.table.Store(t)
	s.loadedAt.Store(time.Now().UnixNano())
	select { // Run takes the newest
	case <-s.swap:
	default:
	}
	s.swap <- t
	return nil
}

// Reload reads the file now, changed or not.
func (s *Source) Reload() error { return s.reload(true) }

func (s *Source) reload(always bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	content, err := ReadFile(s.path)
	if err == nil {
		sum := sha256.Sum256(content)
		if sum == s.sum && !always {
			if sum == s.inForce {
				s.faults.Store(nil) // the file was away, or bad, and is as it was
			}
			return nil
		}
		s.sum = sum // a bad file is refused once, and not every second
		err = s.load(content)
	} else if !always && s.known(err) {
		return err
	}
	if err != nil {
		text := err.Error()
		s.faults.Store(&text)
		s.log.Error("the policies were not loaded: the old ones stay in force", "error", text)
	} else {
		s.faults.Store(nil)
		s.log.Info("policies loaded", "version", s.Table().Version())
	}
	s.reloaded(err)
	return err
}

// known reports whether the same was said before.
func (s *Source) known(err error) bool {
	last := s.faults.Load()
	return last != nil && *last == err.Error()
}

// Fault is why the file as it is now is not in force; "" if it is.
func (s *Source) Fault() string {
	if f := s.faults.Load(); f != nil {
		return *f
	}
	return ""
}

// Run looks whether the file has changed, and keeps the keys of the table in force fresh, until ctx
// is done. Only the content counts: a ConfigMap is swapped by a symbolic link, and its time may go
// backwards.
func (s *Source) Run(ctx context.Context) {
	tick := time.NewTicker(reloadEvery)
	defer tick.Stop()
	stop := func() {}
	var running sync.WaitGroup
	defer running.Wait()
	defer func() { stop() }()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = s.reload(false) // it has been logged and counted
		case t := <-s.swap:
			stop()
			stop = runTable(ctx, t, &running)
		}
	}
}

// runTable runs t until the function that it returns is called.
func runTable(ctx context.Context, t *Table, running *sync.WaitGroup) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	running.Go(func() { t.Run(ctx) })
	return stop
}
