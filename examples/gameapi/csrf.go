package main

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
)

// csrfName is the cookie that pages read and send back in a field (double submit). Another site's
// page can make a browser send the cookie, but cannot read it.
const (
	csrfName  = "csrf_token"
	csrfField = "X-CSRF-Token"
)

// csrfCookie sets the cookie anew on every GET and HEAD.
func csrfCookie(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			setCSRF(w)
		}
		next.ServeHTTP(w, r)
	})
}

func setCSRF(w http.ResponseWriter) {
	// Not HttpOnly: the page has to read it.
	http.SetCookie(w,
		&http.Cookie{Name: csrfName, Value: rand.Text(), Path: "/", SameSite: http.SameSiteLaxMode})
}

// checkCSRF wants the cookie's value in the field too, on writes that a browser authenticates by
// its session cookie. No browser sends a bearer token by itself.
func checkCSRF(r *http.Request, me identity) error {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return nil
	}
	if !me.byCookie {
		return nil
	}
	cookie, err := r.Cookie(csrfName)
	if err != nil || cookie.Value == "" ||
		subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(r.Header.Get(csrfField))) != 1 {
		return &failure{
			http.StatusForbidden, "csrf", "send the value of the cookie " + csrfName +
				" in " + csrfField,
		}
	}
	return nil
}
