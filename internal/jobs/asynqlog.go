package jobs

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// While the job store is away, asynq says so several times a second, in a few sentences. Each is
// said once in a while: what is wrong with Redis is told by its connection.
const (
	sayAgain   = 10 * time.Minute
	maxSayings = 64 // that are remembered
)

// An asynqLog is asynq's logger. Its message is constant, so that it can be searched for. It is
// safe for concurrent use.
type asynqLog struct {
	log *slog.Logger

	mu   sync.Mutex
	said map[string]time.Time // by the sentence without its error
}

func newAsynqLog(log *slog.Logger) *asynqLog { return &asynqLog{log: log} }

func (l *asynqLog) say(level slog.Level, args []any) {
	text := fmt.Sprint(args...)
	if level == slog.LevelWarn && l.isRepeated(text, time.Now()) {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, "asynq", "says", text)
}

// isRepeated reports whether the sentence was said a short time ago, and notes it.
func (l *asynqLog) isRepeated(text string, now time.Time) bool {
	sentence, _, _ := strings.Cut(text, ": ")
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, known := l.said[sentence]; known && now.Sub(at) < sayAgain {
		return true
	}
	if l.said == nil || len(l.said) >= maxSayings {
		l.said = map[string]time.Time{}
	}
	l.said[sentence] = now
	return false
}

// Debug and the others implement asynq.Logger.
func (l *asynqLog) Debug(args ...any) { l.say(slog.LevelDebug, args) }
func (l *asynqLog) Info(args ...any)  { l.say(slog.LevelDebug, args) }
func (l *asynqLog) Warn(args ...any)  { l.say(slog.LevelWarn, args) }
func (l *asynqLog) Error(args ...any) { l.say(slog.LevelWarn, args) }
func (l *asynqLog) Fatal(args ...any) { l.say(slog.LevelError, args) }
