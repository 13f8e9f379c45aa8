package main

import (
	"io"
	"maps"
	"net/http"
)

// play is the game's page for browsers. Its resources are announced before it is ready (103, RFC
// 8297).
func (a *API) play(w http.ResponseWriter, _ *http.Request, _ identity) error {
	h := w.Header()
	final := maps.Clone(h)
	clear(h) // an interim answer has fields of its own
	h.Set("Link", "</play.css>; rel=preload; as=style")
	w.WriteHeader(http.StatusEarlyHints)
	clear(h)
	maps.Copy(h, final)

	// beside the CSRF cookie
	http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark", Path: "/"})
	h.Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w,
		"<!doctype html><title>The game</title><link rel=stylesheet href=/play.css><h1>Roll for "+
			"initiative</h1>\n")
	return nil
}

// teapot is short and stout (RFC 2324).
func (a *API) teapot(http.ResponseWriter, *http.Request, identity) error {
	return &failure{http.StatusTeapot, "teapot", "the tavern serves tea"}
}
