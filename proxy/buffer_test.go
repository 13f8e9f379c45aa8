package proxy

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"sidecar/internal/reason"
)

// Bytes that a buffer has in hand count until its reader has them, or is gone in any way.
func TestWhatIsInHandIsCountedAndGivenBack(t *testing.T) {
	body := strings.Repeat("x", 100_000)
	for _, c := range []struct {
		name     string
		from     io.Reader
		length   int64
		limit    int64
		leave    int // how many bytes the reader reads; -1: all
		occupied int64
		want     reason.Reason
	}{
		{"complete", strings.NewReader(body), 100_000, 1 << 20, -1, 0, ""},
		{"complete, of unknown length", strings.NewReader(body), -1, 1 << 20, -1, 0, ""},
		{"the reader leaves", strings.NewReader(body), 100_000, 1 << 20, 10, 0, ""},
		{"too long", strings.NewReader(body), -1, 50_000, -1, 0, reason.TooLarge},
		{"too long, and the reader leaves", strings.NewReader(body), -1, 50_000, 10,
			0, reason.TooLarge},
		{"broken", io.MultiReader(strings.NewReader(body), iotest.ErrReader(errors.New("reset"))),
			-1, 1 << 20, -1, 0, reason.Incomplete},
		{"no room", strings.NewReader(body), -1, 1 << 20, -1, maxInHand, reason.StoreBusy},
		{"no room for all of it", strings.NewReader(body), 100_000, 1 << 20, -1, maxInHand - 50_000,
			reason.StoreBusy},
		{"no room, and the reader leaves", strings.NewReader(body), -1, 1 << 20, 10, maxInHand,
			reason.StoreBusy},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &room{}
			r.used.Store(c.occupied)
			b := newBuffer(r, io.NopCloser(c.from), c.length, c.limit, func() {})
			why := make(chan reason.Reason)
			go func() { why <- b.fill(func([]byte) {}) }()
			n := int64(c.leave)
			if c.leave < 0 {
				n = 1 << 20
			}
			var got bytes.Buffer
			_, _ = io.Copy(&got, io.LimitReader(b, n))
			if c.leave < 0 && got.String() != body {
				t.Errorf("read %d bytes", got.Len())
			}
			if got := <-why; got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if c.want == "" && c.leave < 0 && r.used.Load() < c.occupied+100_000 {
				t.Errorf("%d bytes are counted while it is in hand", r.used.Load()-c.occupied)
			}
			if _ = b.Close(); r.used.Load() != c.occupied {
				t.Errorf("%d bytes are not given back", r.used.Load()-c.occupied)
			}
		})
	}
}

func TestOneClientHasHalfOfTheRoom(t *testing.T) {
	r := &room{}
	r.take("a", maxInHand/2-10)
	for _, c := range []struct {
		client string
		want   reason.Reason
	}{{"a", reason.StoreBusy}, {"b", ""}, {"", ""}} {
		b := newBuffer(r, io.NopCloser(strings.NewReader("twenty bytes of body")),
			-1, 1<<20, func() {})
		b.client = c.client
		if why := b.fill(func([]byte) {}); why != c.want {
			t.Errorf("of %q: %q, want %q", c.client, why, c.want)
		}
		_ = b.Close()
	}
	r.give("a", maxInHand/2-10)
	if len(r.by) > 0 || r.used.Load() != 0 {
		t.Errorf("%d bytes are left, %v", r.used.Load(), r.by)
	}
}
