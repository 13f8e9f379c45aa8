package config

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
)

// A Secret is a value that no log, error or metric ever shows. It holds the value, or the name of a
// file that each call of Value reads, so that a rotated secret needs no restart. The zero value is
// no secret.
type Secret struct {
	value    string
	file     string
	variable string // which names the file
}

// NewSecret returns the secret with this value.
func NewSecret(value string) Secret { return Secret{value: value} }

// IsSet reports whether there is a secret.
func (s Secret) IsSet() bool { return s.value != "" || s.file != "" }

// IsFile reports whether the secret is read from a file, and so may change.
func (s Secret) IsFile() bool { return s.file != "" }

// Value is the secret, without a line end after it. An error names the
// variable, the file and its fault.
func (s Secret) Value() (string, error) {
	if s.file == "" {
		return s.value, nil
	}
	f, err := os.Open(s.file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.variable, err)
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, 1<<16))
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.variable, err)
	}
	return strings.TrimRight(string(content), "\r\n"), nil
}

// String says whether there is a secret, and nothing else about it.
func (s Secret) String() string {
	if !s.IsSet() {
		return ""
	}
	return "[secret]"
}

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return s.String() }

// Format implements fmt.Formatter, so that no verb shows the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, which encoding/json uses too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Secret) UnmarshalText(text []byte) error {
	s.value = string(text)
	return nil
}
