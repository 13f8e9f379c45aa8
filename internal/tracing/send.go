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
	// maxMessage is how much of a collector's words is logged, in bytes.
	maxMessage = 200
)

// A sender posts batches, one at a time.
type sender struct {
	options Options
	tracer  *Tracer
	client  *http.Client
	head    requestHead

	told   bool   // the log has a warning, and not yet that it is over
	lost   uint64 // spans since the last batch that was taken and told of
	warned time.Time
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
			s.sent(uint64(len(batch)), refused)
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
func (s *sender) sent(all uint64, refused refusal) {
	n := min(refused.spans, all)
	s.tracer.exported.Add(all - n)
	if n > 0 {
		s.lose(n, refused)
		return
	}
	if s.told {
		s.options.Log.Info("traces are sent again", "lost_spans", s.lost)
		s.told, s.lost = false, 0
	}
}

// lose counts spans that the collector has not taken. The log has one warning until all are taken
// again, and no more than one in a while: an outage that begins soon after a warning is told later,
// if it lasts.
func (s *sender) lose(spans uint64, err error) {
	s.tracer.failed.Add(spans)
	s.lost += spans
	level := slog.LevelDebug
	if now := time.Now(); !s.told && now.Sub(s.warned) > quiet {
		level, s.told, s.warned = slog.LevelWarn, true, now
	}
	s.options.Log.Log(context.Background(), level, "traces cannot be sent to the collector",
		"lost_spans", s.lost, "error", err)
}

// A refusal is the partial success of a post.
type refusal struct {
	spans   uint64 // that the collector did not take
	message string // why, in its words
}

func (r refusal) Error() string {
	if r.message == "" {
		return "the collector refused some"
	}
	return "the collector refused some: " + r.message
}

// A retry says whether to post again, and when at the earliest.
type retry struct {
	again bool
	after time.Duration
}

// post posts a batch once. An error names neither the URL nor a field.
func (s *sender) post(ctx context.Context, body []byte) (refused refusal, again retry, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	r, err := s.request(ctx, body)
	if err != nil {
		return refused, retry{}, err
	}
	resp, err := s.client.Do(r)
	if err != nil {
		return refused, retry{again: true}, withoutURL(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	switch {
	case resp.StatusCode/100 != 2:
		return refused, retryOf(resp), fmt.Errorf("the collector answered %d", resp.StatusCode)
	case err != nil:
		return refused, retry{}, nil // it has them
	}
	return refusalOf(answer), retry{}, nil
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
	if strings.Contains(err.Error(), "malformed HTTP response") {
		return errors.New("the endpoint does not answer in HTTP/1.1: is it the port of gRPC, " +
			"mostly 4317? OTLP over HTTP has another one, mostly 4318")
	}
	return err
}
