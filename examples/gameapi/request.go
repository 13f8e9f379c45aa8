package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// maxRequestBody bounds every JSON body that a client sends, in bytes.
const maxRequestBody = 64 << 10

// maxNames bounds the members of the object in a body.
const maxNames = 100

// decode reads the request's body, one JSON value, into v. Members that v does not have are
// ignored.
func decode(w http.ResponseWriter, r *http.Request, v any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &failure{http.StatusRequestEntityTooLarge, "too_large", "a body may have 64 KiB"}
	case err != nil:
		return invalid("the body broke off")
	}
	if err := json.Unmarshal(body, v); err != nil {
		return invalid("the body is not the JSON that this route takes: " + err.Error())
	}
	return unambiguous(body)
}

// unambiguous refuses an object with a repeated name, whatever its case: encoding/json takes the
// last, and another reader of the body may take the first (RFC 8259 §4). body is valid JSON.
func unambiguous(body []byte) error {
	tokens := json.NewDecoder(bytes.NewReader(body))
	if first, err := tokens.Token(); err != nil || first != json.Delim('{') {
		return err
	}
	var names []string
	for tokens.More() {
		token, err := tokens.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if len(names) == maxNames ||
			slices.ContainsFunc(names, func(other string) bool {
				return strings.EqualFold(name, other)
			}) {
			return invalid("the body has " + strconv.Quote(name) + " twice, or too many members")
		}
		names = append(names, name)
		var value json.RawMessage
		if err := tokens.Decode(&value); err != nil {
			return err
		}
	}
	return nil
}

// A page is the part of a list that a request asks for.
type page struct {
	number int // from 1
	limit  int // 1 to 100
}

func (p page) offset() int { return (p.number - 1) * p.limit }

// pageOf reads the parameters page and limit; absent, they are 1 and 20.
func pageOf(r *http.Request) (page, error) {
	number, err := intParam(r, "page", 1, 1, 1_000_000)
	if err != nil {
		return page{}, err
	}
	limit, err := intParam(r, "limit", 20, 1, 100)
	return page{number, limit}, err
}

func intParam(r *http.Request, name string, absent, least, most int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, invalid(name + " must be a number from " + strconv.Itoa(least) + " to " +
			strconv.Itoa(most))
	}
	return n, nil
}

// set overwrites a field by the given value; an absent one changes nothing.
func set[T any](field *T, given *T) {
	if given != nil {
		*field = *given
	}
}
