package telemetry

import (
	"fmt"
	"io"
	"log/slog"
	"os"
)

// NewLogger returns a logger for LOG_LEVEL and LOG_FORMAT: "json", "text", or "" for text on a
// terminal and JSON elsewhere.
func NewLogger(w io.Writer, level slog.Leveler, format string) (*slog.Logger, error) {
	opts := &slog.HandlerOptions{Level: level}
	switch {
	case format == "text", format == "" && isTerminal(w):
		return slog.New(slog.NewTextHandler(w, opts)), nil
	case format == "json", format == "":
		return slog.New(slog.NewJSONHandler(w, opts)), nil
	}
	return nil, fmt.Errorf("log format %q is neither json nor text", format)
}

// isTerminal takes every character device for a terminal; the only other common one is /dev/null.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
