package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Healthy asks whether the backend is there: by its health path, which has to answer 2xx, or else
// by connecting.
func (b *Backend) Healthy(ctx context.Context) error {
	err := b.healthy(ctx)
	switch now := time.Now(); {
	case err == nil:
		b.record.answer.Store(now.UnixNano())
	case !errors.Is(ctx.Err(), context.Canceled):
		b.record.failed(err, now)
	}
	return err
}

func (b *Backend) healthy(ctx context.Context) error {
	if b.options.HealthPath == "" {
		conn, err := b.dial(ctx, "", "")
		if err != nil {
			return fmt.Errorf("the backend cannot be reached: %w", err)
		}
		return conn.Close()
	}
	path, query, _ := strings.Cut(b.options.HealthPath, "?")
	request := &Request{Request: &http.Request{
		Method: http.MethodGet, URL: &url.URL{
			Scheme: b.scheme, Host: b.host, Opaque: path, RawQuery: query,
		}, Host: b.host,
		Header: http.Header{"User-Agent": {"sidecar"}},
	}}
	resp, err := b.roundTrip(ctx, request, time.Now(), nil)
	if err != nil {
		return fmt.Errorf("the backend's health cannot be asked: %w", err)
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("the backend's %s answers %d", path, resp.StatusCode)
	}
	return nil
}
