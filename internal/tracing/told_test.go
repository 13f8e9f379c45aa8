package tracing

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The log has a line when spans begin to be lost and one when that is over. Outages within a minute
// of a warning are not told one by one, but one that lasts is.
func TestAnOutageIsToldOnceAndOneThatLastsAlways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := newSender(Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, &Tracer{})
		said := func(when, want string) {
			t.Helper()
			var got []string
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, "DEBUG") {
					continue
				}
				_, line, _ = strings.Cut(strings.TrimSpace(line), "level=")
				got = append(got, line)
			}
			if log.Reset(); strings.Join(got, "; ") != want {
				t.Errorf("%s: the log has %q, and not %q", when, got, want)
			}
		}
		const begins = `WARN msg="traces cannot be sent to the collector" lost_spans=`
		const over = `INFO msg="traces are sent again" lost_spans=`
		away := errors.New("away")
		s.sent(1, refusal{})
		said("nothing is lost", "")
		s.lose(2, away)
		s.lose(3, away)
		said("it begins", begins+"2 error=away")
		s.sent(1, refusal{})
		s.sent(1, refusal{})
		said("it is over", over+"5")

		time.Sleep(time.Second)
		s.lose(1, away)
		s.sent(1, refusal{})
		said("one that is soon over", "")
		s.lose(1, away)
		said("one that begins soon", "")
		time.Sleep(2 * time.Minute)
		s.lose(1, away)
		s.lose(1, away)
		said("and lasts", begins+"3 error=away")
		s.sent(5, refusal{spans: 1, message: "too old"})
		said("a part is refused", "")
		s.sent(5, refusal{})
		said("all are taken", over+"5")
	})
}
