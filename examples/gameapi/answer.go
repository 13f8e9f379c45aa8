package main

import (
	"bytes"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
)

// An envelope is the body of every JSON response.
type envelope struct {
	Success bool     `json:"success"`
	Data    any      `json:"data,omitempty"`
	Meta    *meta    `json:"meta,omitempty"`
	Error   *failure `json:"error,omitempty"`
}

// meta describes the part of a list in a response.
type meta struct {
	Page  int `json:"page"`
	Limit int `json:"limit"`
	Total int `json:"total"`
}

// Values of Cache-Control: for content that everybody may see and keep for a minute, and for
// content of one user.
const (
	publicPage  = "public, max-age=60"
	privatePage = "private"
)

// answer sends data in an envelope.
func answer(w http.ResponseWriter, status int, data any) error {
	return send(w, status, envelope{Success: true, Data: data})
}

// answerPage sends one page of a list.
func answerPage(w http.ResponseWriter, p page, total int, data any) error {
	return send(w, http.StatusOK,
		envelope{Success: true, Data: data, Meta: &meta{p.number, p.limit, total}})
}

// answerTagged sends data with an entity tag, or 304 if the request has that tag.
func answerTagged(w http.ResponseWriter, r *http.Request, data any) error {
	body, err := encode(envelope{Success: true, Data: data})
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	etag := `"` + hex.EncodeToString(sum[:8]) + `"`
	w.Header().Set("ETag", etag)
	if matches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return sendBytes(w, http.StatusOK, body)
}

// matches reports whether an If-None-Match names etag; weak comparison, RFC 9110 §13.1.2. The API's
// tags have no comma.
func matches(ifNoneMatch []string, etag string) bool {
	for member := range strings.SplitSeq(strings.Join(ifNoneMatch, ","), ",") {
		member = strings.TrimSpace(member)
		if member == "*" || strings.TrimPrefix(member, "W/") == etag {
			return true
		}
	}
	return false
}

func send(w http.ResponseWriter, status int, e envelope) error {
	body, err := encode(e)
	if err != nil {
		return err
	}
	return sendBytes(w, status, body)
}

// sendBytes sets the length, so that the response to a HEAD has it too. A client that has left is
// no error.
func sendBytes(w http.ResponseWriter, status int, body []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
	return nil
}

func encode(e envelope) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(e)
	return b.Bytes(), err
}

// A failure is an error that is sent to the client.
type failure struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (f *failure) Error() string { return f.Code + ": " + f.Message }

func invalid(message string) error {
	return &failure{http.StatusBadRequest, "invalid", message}
}

func unauthorized(message string) error {
	return &failure{http.StatusUnauthorized, "unauthorized", message}
}

func forbidden(message string) error {
	return &failure{http.StatusForbidden, "forbidden", message}
}

// notFound is also the response for a thing that the client may not see.
func notFound(what string) error {
	return &failure{http.StatusNotFound, "not_found", "there is no such " + what}
}

// missing turns the absence of a row into notFound(what), and leaves other errors as they are.
func missing(err error, what string) error {
	if errors.Is(err, sql.ErrNoRows) {
		return notFound(what)
	}
	return err
}

// fail sends an error. One that is not a failure is logged, and the client gets no details.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	var f *failure
	if !errors.As(err, &f) {
		if r.Context().Err() == nil {
			slog.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
		}
		f = &failure{http.StatusInternalServerError, "internal", "something went wrong"}
	}
	if f.Status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="game"`)
	}
	_ = send(w, f.Status, envelope{Error: f}) // a failure always encodes
}
