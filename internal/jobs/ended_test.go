package jobs

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
)

func TestAJobThatFailsIsNamedInTheLog(t *testing.T) {
	t.Parallel()
	for name, anonymous := range map[string]bool{
		"with an owner": false, "that its id opens": true,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log lines
			w := newWorld(t, shared, answer(422),
				func(o *Options) { o.Log = slog.New(slog.NewJSONHandler(&log, nil)) })
			s := w.submission("a sword", "")
			if anonymous {
				s.Owner = ""
			}
			id := w.accept(s)
			w.work()
			w.await(id, Failed)
			awaitTrue(t, "the log names the job",
				func() bool { return strings.Contains(log.String(), "a job failed") })
			var line map[string]any
			for text := range strings.Lines(log.String()) {
				if strings.Contains(text, "a job failed") {
					if err := json.Unmarshal([]byte(text), &line); err != nil {
						t.Fatal(err)
					}
				}
			}
			want := map[string]any{"level": "WARN", "job_id": id, "job_type": "craft",
				"queue": "default", "attempts": 1.0,
				"error": "the backend answered 422 Unprocessable Entity"}
			if anonymous {
				want["job_id"] = id[:8] + "…"
			}
			for name, value := range want {
				if line[name] != value {
					t.Errorf("%s is %v, want %v", name, line[name], value)
				}
			}
			if strings.Contains(log.String(), "alice-s-secret") ||
				anonymous && strings.Contains(log.String(), id) {
				t.Errorf("a secret is in the log: %s", log.String())
			}
		})
	}
}
