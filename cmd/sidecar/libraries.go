package main

import (
	"context"
	"log"
	"log/slog"
	"strings"
	"unicode"

	"github.com/redis/go-redis/v9"
)

// quietLibraries makes the libraries that write to a logger of the whole process write to log. It
// is called once, before anything is started.
func quietLibraries(to *slog.Logger) {
	log.SetFlags(0)
	log.SetOutput(libraryLog{to, "go"})
	redis.SetLogger(redisLog{to})
}

// errorLog is a server's ErrorLog.
func errorLog(to *slog.Logger) *log.Logger { return log.New(libraryLog{to, "net/http"}, "", 0) }

// A libraryLog takes the lines of a library's logger. Only the first words of a line are kept: the
// rest may quote a request, an answer or a credential.
type libraryLog struct {
	to      *slog.Logger
	library string
}

// Write implements io.Writer.
func (l libraryLog) Write(line []byte) (int, error) {
	first, stack, _ := strings.Cut(string(line), "\n")
	if strings.HasPrefix(first, "http: panic serving") {
		// of functions and addresses, without values
		l.to.Error("a request's handler panicked", "stack", stack)
		return len(line), nil
	}
	l.to.Debug("a library reports", "library", l.library, "about", gist(first))
	return len(line), nil
}

// redisLog is go-redis's logger.
type redisLog struct{ to *slog.Logger }

// Printf implements go-redis's internal.Logging. The arguments, which may be addresses and
// replies, are left out.
func (l redisLog) Printf(ctx context.Context, format string, _ ...any) {
	l.to.DebugContext(ctx, "a library reports", "library", "go-redis", "about", gist(format))
}

// gist is the beginning of a line, up to the first value in it.
func gist(line string) string {
	const words = 8
	kept := strings.FieldsFunc(line, unicode.IsSpace)
	for i, word := range kept {
		plain := strings.Trim(word, ":,.()")
		if i == words || plain == "" ||
			strings.ContainsFunc(plain, func(r rune) bool {
				return !unicode.IsLetter(r) && r != '-' && r != '.'
			}) {
			kept = kept[:i]
			break
		}
	}
	return strings.Join(kept, " ")
}
