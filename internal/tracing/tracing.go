// Package tracing makes the spans of OpenTelemetry and sends them to a collector by OTLP over HTTP.
//
// It has the part of OpenTelemetry's SDK that the sidecar needs: context (W3C Trace Context),
// samplers, a bounded batch, the exporter. CONTRIBUTING.md has the cost of the SDK. Names and
// attributes of spans follow the semantic conventions; they are given where the work is done, in
// proxy, backend, redisconn, jobs and jobhook.
//
// A span never waits: one that finds the queue full is dropped and counted. Values of keys,
// queries, bodies and credentials are in no span.
package tracing

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"
)

// Options of a Tracer.
type Options struct {
	Endpoint string // URL to which spans are posted, with its path
	// Headers are the fields of each post besides its own; nil: none. They are asked for each time.
	Headers func() (http.Header, error)
	Gzip    bool          // compress posts
	TLS     *tls.Config   // nil: the system's roots
	Timeout time.Duration // of one post
	Sampler Sampler

	Resource []Attr // who makes the spans
	Scope    string // the name of the instrumentation
	Version  string // its version

	Delay     time.Duration // from the first span of a batch to its post, at most
	BatchTime time.Duration // for a batch, with its repetitions
	Queue     int           // spans that wait
	Batch     int           // spans in one post
	Log       *slog.Logger  // nil: slog.Default
}

// A Tracer makes spans and sends them. A nil Tracer makes none. It is safe for concurrent use.
type Tracer struct {
	sampler Sampler
	queue   chan *Span
	sender  *sender
	stopped atomic.Bool
	stop    chan struct{}
	ended   chan struct{} // the sender has ended
	cutOff  context.CancelFunc

	exported, failed, dropped atomic.Uint64
}

// New returns a tracer, and begins to send its spans. Shutdown has to be called.
func New(o Options) *Tracer {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	t := &Tracer{
		sampler: o.Sampler, queue: make(chan *Span, o.Queue),
		stop: make(chan struct{}), ended: make(chan struct{}),
	}
	var ctx context.Context
	ctx, t.cutOff = context.WithCancel(context.Background())
	t.sender = newSender(o, t)
	go t.run(ctx, o) // ends with Shutdown
	return t
}

// Stats are counts of spans since the start.
type Stats struct {
	Exported uint64 // that the collector took
	Failed   uint64 // that it did not take, or did not get
	Dropped  uint64 // that found the queue full
}

// Stats returns the counts.
func (t *Tracer) Stats() Stats {
	return Stats{
		Exported: t.exported.Load(), Failed: t.failed.Load(), Dropped: t.dropped.Load(),
	}
}

// Shutdown sends the spans that wait, until ctx is done, and takes no more. A nil Tracer has
// nothing to do.
func (t *Tracer) Shutdown(ctx context.Context) {
	if t == nil || t.stopped.Swap(true) {
		return
	}
	defer context.AfterFunc(ctx, t.cutOff)()
	close(t.stop)
	<-t.ended
	t.cutOff()
	t.sender.close()
}

// take queues a span that has ended.
func (t *Tracer) take(s *Span) {
	if t.stopped.Load() {
		t.dropped.Add(1)
		return
	}
	select {
	case t.queue <- s:
	default:
		t.dropped.Add(1)
	}
}

// run sends batches until the tracer is stopped, and then the rest.
func (t *Tracer) run(ctx context.Context, o Options) {
	defer close(t.ended)
	batch := make([]*Span, 0, o.Batch)
	due := time.NewTimer(o.Delay)
	due.Stop()
	defer due.Stop()
	send := func() {
		due.Stop()
		if len(batch) > 0 {
			t.sender.send(ctx, batch)
			clear(batch)
			batch = batch[:0]
		}
	}
	for {
		select {
		case s := <-t.queue:
			if batch = append(batch, s); len(batch) == 1 {
				due.Reset(o.Delay)
			}
			if len(batch) == o.Batch {
				send()
			}
		case <-due.C:
			send()
		case <-t.stop:
			for {
				select {
				case s := <-t.queue:
					if batch = append(batch, s); len(batch) == o.Batch {
						send()
					}
					continue
				default:
				}
				break
			}
			send()
			return
		}
	}
}
