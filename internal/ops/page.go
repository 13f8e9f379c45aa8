package ops

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"sidecar/internal/problem"
	"sidecar/internal/telemetry"
)

// The page is one HTML document. Its style and script stand in it, and its security policy allows
// these two alone.
var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string

	document = strings.NewReplacer("/*style*/", pageCSS, "/*script*/", pageJS).Replace(pageHTML)

	contentPolicy = "default-src 'none'; connect-src 'self'; img-src data:; style-src " +
		hashOf(pageCSS) +
		"; script-src " + hashOf(pageJS) +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" +
		"; require-trusted-types-for 'script'; trusted-types 'none'"
)

// hashOf is the source expression of an inline style or script (CSP Level 3 §2.3.1).
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// maxWatchers bounds the pages that are open at once; one more is answered 503.
const maxWatchers = 16

// A Page is the data of the page at the ops address: the history of the last minutes, and a
// snapshot that those who watch get anew again and again. It is safe for concurrent use.
type Page struct {
	source PageSource
	ended  <-chan struct{}

	making sync.Mutex // held to make a snapshot

	mu       sync.Mutex
	history  history
	watchers int
	snapshot []byte // as JSON; nil: none was made
	made     time.Time
	changed  chan struct{} // closed with the next snapshot
}

// A PageSource has the parts of a page.
type PageSource struct {
	Version       string
	Totals        func() telemetry.Totals
	Invalidations func() []telemetry.Invalidation
	Reporters     []Reporter
	Ended         context.Context // done: those who watch are sent away
	Sample        time.Duration   // between two points of the history; 0: 5 s
	Refresh       time.Duration   // between two snapshots while somebody watches; 0: 2 s
}

// NewPage returns a page that has no history yet. Run makes it.
func NewPage(source PageSource) *Page {
	if source.Sample <= 0 {
		source.Sample = 5 * time.Second
	}
	if source.Refresh <= 0 {
		source.Refresh = 2 * time.Second
	}
	p := &Page{source: source, changed: make(chan struct{})}
	if source.Ended != nil {
		p.ended = source.Ended.Done()
	}
	return p
}

// Run keeps the history, and makes snapshots while somebody watches, until ctx is done.
func (p *Page) Run(ctx context.Context) {
	sample, refresh := time.NewTicker(p.source.Sample), time.NewTicker(p.source.Refresh)
	defer sample.Stop()
	defer refresh.Stop()
	p.sample()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sample.C:
			p.sample()
		case <-refresh.C:
			if p.isWatched() {
				p.make(ctx, p.source.Refresh/2)
			}
		}
	}
}

func (p *Page) sample() {
	totals, now := p.source.Totals(), time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.history.add(now, totals)
}

func (p *Page) isWatched() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.watchers > 0
}

// make makes a snapshot, unless there is one that is younger than fresh.
func (p *Page) make(ctx context.Context, fresh time.Duration) {
	p.making.Lock()
	defer p.making.Unlock()
	p.mu.Lock()
	young := p.snapshot != nil && time.Since(p.made) < fresh
	p.mu.Unlock()
	if young {
		return
	}
	status := report(ctx, p.source.Reporters)
	totals, now := p.source.Totals(), time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	content, err := json.Marshal(p.snapshotOf(now, totals, status))
	if err != nil {
		return // a report that is no JSON: /status fails in the same way
	}
	p.snapshot, p.made = content, now
	close(p.changed)
	p.changed = make(chan struct{})
}

// latest is the present snapshot, and a channel that is closed when there is another one.
func (p *Page) latest() (snapshot []byte, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.snapshot, p.changed
}

func (p *Page) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.watchers >= maxWatchers {
		return false
	}
	p.watchers++
	return true
}

func (p *Page) leave() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchers--
}

// show answers with the document.
func (p *Page) show(w http.ResponseWriter, _ *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte(document)) // a client that has gone is nobody's error
}

// routeHistory answers with the history of one route.
func (p *Page) routeHistory(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	points, ok := p.history.pointsOf(r.URL.Query().Get("route"))
	p.mu.Unlock()
	if !ok {
		problem.Write(w, http.StatusNotFound, "There is no history of this route.")
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Points []point `json:"points"`
	}{points})
}

// sendTime bounds the time in which a watcher has to take a snapshot.
const sendTime = 10 * time.Second

// events sends snapshots as server-sent events. One who is slow misses some.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	if !p.enter() {
		w.Header().Set("Retry-After", "10")
		problem.Write(w, http.StatusServiceUnavailable, "Too many watch this page already.")
		return
	}
	defer p.leave()
	p.make(r.Context(), p.source.Refresh)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // to an nginx before the ops address
	control := http.NewResponseController(w)
	for {
		snapshot, changed := p.latest()
		_ = control.SetWriteDeadline(time.Now().Add(sendTime))
		for _, part := range [][]byte{[]byte("event: snapshot\ndata: "), snapshot, []byte("\n\n")} {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
		if control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-p.ended:
			return
		case <-changed:
		}
	}
}
