package tracing

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	firstPause = time.Second // between two attempts; then doubled, up to lastPause
	lastPause  = 10 * time.Second
	// maxResponse is how much of a collector's answer is read, in bytes.
	maxResponse = 64 << 10
	// quiet is how long after a warning no other one is logged.
	quiet = time.Minute
)

// A sender posts batches, one at a time.
type sender struct {
	options Options
	tracer  *Tracer
	client  *http.Client
	head    requestHead

	failing bool // the last batch was lost
	lost    uint64
	warned  time.Time
}

func newSender(o Options, t *Tracer) *sender {
	return &sender{
		options: o, tracer: t, head: newRequestHead(o),
		client: &http.Client{
			Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, TLSClientConfig: o.TLS, ForceAttemptHTTP2: true,
				MaxIdleConns: 1, IdleConnTimeout: 90 * time.Second,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // headers may be secret
			},
		},
	}
}

func (s *sender) close() { s.client.CloseIdleConnections() }

// send posts a batch, again and again where that may help, for BatchTime. Then it is lost.
func (s *sender) send(ctx context.Context, batch []*Span) {
	ctx, cancel := context.WithTimeout(ctx, s.options.BatchTime)
	defer cancel()
	body := encode(s.head, batch)
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		refused, retry, err := s.post(ctx, body)
		if err == nil {
			s.sent(uint64(len(batch)), min(refused, uint64(len(batch))))
			return
		}
		wait := max(pause/2+rand.N(pause), retry.after)
		deadline, _ := ctx.Deadline()
		if !retry.again || ctx.Err() != nil || time.Until(deadline) < wait {
			s.lose(uint64(len(batch)), err)
			return
		}
		select {
		case <-ctx.Done():
			s.lose(uint64(len(batch)), err)
			return
		case <-time.After(wait):
		}
	}
}

// sent counts a batch that was posted, and its spans that were refused.
func (s *sender) sent(all, refused uint64) {
	s.tracer.exported.Add(all - refused)
	s.tracer.failed.Add(refused)
	if s.failing {
		s.options.Log.Info("traces are sent again", "lost_spans", s.lost)
		s.failing, s.lost = false, 0
	}
}

// lose counts a batch that was not posted. The log has the first one, and no more than one in a
// while.
func (s *sender) lose(spans uint64, err error) {
	s.tracer.failed.Add(spans)
	s.lost += spans
	level := slog.LevelDebug
	if now := time.Now(); !s.failing && now.Sub(s.warned) > quiet {
		level, s.warned = slog.LevelWarn, now
	}
	s.failing = true
	s.options.Log.Log(context.Background(), level, "traces cannot be sent to the collector",
		"lost_spans", spans, "error", err)
}

// A retry says whether to post again, and when at the earliest.
type retry struct {
	again bool
	after time.Duration
}

// post posts a batch once. refused is how many spans the collector did not take. An error names
// neither the URL nor a field.
func (s *sender) post(ctx context.Context, body []byte) (refused uint64, again retry, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	r, err := s.request(ctx, body)
	if err != nil {
		return 0, retry{}, err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, retry{again: true}, withoutURL(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	switch {
	case resp.StatusCode/100 != 2:
		return 0, retryOf(resp), fmt.Errorf("the collector answered %d", resp.StatusCode)
	case err != nil:
		return 0, retry{}, nil // it has them
	}
	return rejected(answer), retry{}, nil
}

// request makes the request of a post.
func (s *sender) request(ctx context.Context, body []byte) (*http.Request, error) {
	coding := ""
	if s.options.Gzip {
		var packed bytes.Buffer
		w := gzip.NewWriter(&packed)
		_, _ = w.Write(body) // a buffer takes all
		_ = w.Close()
		body, coding = packed.Bytes(), "gzip"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.options.Endpoint,
		bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the endpoint is no URL")
	}
	if s.options.Headers != nil {
		own, err := s.options.Headers()
		if err != nil {
			return nil, err
		}
		for name, values := range own {
			r.Header[name] = values
		}
		if host := own.Get("Host"); host != "" {
			r.Host = host
		}
	}
	r.Header.Set("Content-Type", "application/x-protobuf")
	r.Header.Set("User-Agent", s.options.Scope+"/"+s.options.Version)
	if coding != "" {
		r.Header.Set("Content-Encoding", coding)
	}
	return r, nil
}

// retryOf says when to try again after a status (OTLP, "Failures").
func retryOf(resp *http.Response) (r retry) {
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable,
		http.StatusGatewayTimeout:
		r.again = true
	}
	after := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(after, 10, 16); err == nil {
		r.after = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(after); err == nil {
		r.after = time.Until(at)
	}
	return r
}

// withoutURL is an error of an http.Client, without the URL, which may hold a password.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return errors.New("the collector did not answer in time")
	}
	return err
}
