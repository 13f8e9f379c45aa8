package main

import (
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"net/http"
	"strings"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const (
	sessionCookie = "session"
	refreshLife   = 30 * 24 * time.Hour
)

// An identity is the user of a request; the zero value is nobody.
type identity struct {
	userID, username, role string
	tokenID                string
	expires                time.Time
	byCookie               bool // by the session cookie, not by Authorization
}

func (me identity) isDM() bool { return me.role == roleDM }

// authenticated answers 401 without a valid access token.
func (a *API) authenticated(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		me, err := a.identify(r)
		if err == nil {
			err = checkCSRF(r, me)
		}
		if err == nil {
			err = h(w, r, me)
		}
		if err != nil {
			fail(w, r, err)
		}
	})
}

// identify reads the token from Authorization or, without that field, from the session cookie.
func (a *API) identify(r *http.Request) (identity, error) {
	me := identity{}
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		cookie, err := r.Cookie(sessionCookie)
		if err != nil || r.Header.Get("Authorization") != "" {
			return identity{}, unauthorized("log in and send the access token")
		}
		token, me.byCookie = cookie.Value, true
	}
	c, err := a.tokens.verify(token)
	if err != nil {
		return identity{}, unauthorized("the access token is not valid: " + err.Error())
	}
	var revoked bool
	err = a.db.reader.QueryRowContext(r.Context(),
		`SELECT EXISTS (SELECT 1 FROM revoked_tokens WHERE jti = ?)`, c.ID).Scan(&revoked)
	if err != nil {
		return identity{}, err
	}
	if revoked {
		return identity{}, unauthorized("the access token was logged out")
	}
	me.userID, me.username, me.role, me.tokenID, me.expires = c.UserID, c.Username, c.Role,
		c.ID, c.ExpiresAt.Time
	return me, nil
}

// login exchanges a name and a password for tokens.
func (a *API) login(w http.ResponseWriter, r *http.Request, _ identity) error {
	var given struct{ Username, Password string }
	if err := decode(w, r, &given); err != nil {
		return err
	}
	u := user{}
	var hash []byte
	err := a.db.reader.QueryRowContext(r.Context(),
		`SELECT id, username, role, password_hash FROM users WHERE username = ?`, given.Username).
		Scan(&u.ID, &u.Username, &u.Role, &hash)
	if err != nil && err != sql.ErrNoRows {
		return err
	}
	if bcrypt.CompareHashAndPassword(hash, []byte(given.Password)) != nil {
		return unauthorized("wrong name or password")
	}
	var refresh string
	err = a.db.write(r.Context(), func(tx *sql.Tx) error {
		refresh, err = issueRefresh(r, tx, u.ID)
		return err
	})
	if err != nil {
		return err
	}
	return a.answerTokens(w, u, refresh)
}

// refresh exchanges a refresh token for new tokens; it is good once.
func (a *API) refresh(w http.ResponseWriter, r *http.Request, _ identity) error {
	given, err := refreshTokenOf(w, r)
	if err != nil {
		return err
	}
	u := user{}
	var next string
	err = a.db.write(r.Context(), func(tx *sql.Tx) error {
		err := tx.QueryRowContext(r.Context(),
			`DELETE FROM refresh_tokens WHERE hash = ? AND expires_at > ? RETURNING user_id`,
			digest(given), time.Now().Unix()).Scan(&u.ID)
		if err == sql.ErrNoRows {
			return unauthorized("the refresh token is not valid")
		}
		if err != nil {
			return err
		}
		if err := tx.QueryRowContext(r.Context(), `SELECT username, role FROM users WHERE id = ?`,
			u.ID).Scan(&u.Username, &u.Role); err != nil {
			return err
		}
		next, err = issueRefresh(r, tx, u.ID)
		return err
	})
	if err != nil {
		return err
	}
	return a.answerTokens(w, u, next)
}

// logout revokes the access token, and the refresh token if the body has it.
func (a *API) logout(w http.ResponseWriter, r *http.Request, me identity) error {
	refresh := ""
	if r.ContentLength != 0 {
		var err error
		if refresh, err = refreshTokenOf(w, r); err != nil {
			return err
		}
	}
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(r.Context(),
			`INSERT OR IGNORE INTO revoked_tokens (jti, expires_at) VALUES (?, ?)`, me.tokenID,
			me.expires.Unix()); err != nil {
			return err
		}
		_, err := tx.ExecContext(r.Context(),
			`DELETE FROM refresh_tokens WHERE hash = ? AND user_id = ?`, digest(refresh), me.userID)
		return err
	})
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	setSession(w, "", -1)
	return answer(w, http.StatusOK, map[string]string{"status": "logged out"})
}

func refreshTokenOf(w http.ResponseWriter, r *http.Request) (string, error) {
	var given struct {
		RefreshToken string `json:"refresh_token"`
	}
	err := decode(w, r, &given)
	return given.RefreshToken, err
}

func issueRefresh(r *http.Request, tx *sql.Tx, userID string) (string, error) {
	token := rand.Text()
	_, err := tx.ExecContext(r.Context(),
		`INSERT INTO refresh_tokens (hash, user_id, expires_at) VALUES (?, ?, ?)`,
		digest(token), userID, time.Now().Add(refreshLife).Unix())
	return token, err
}

// answerTokens sends the tokens in the body for programs, and the access token in a cookie, with a
// fresh CSRF cookie, for browsers.
func (a *API) answerTokens(w http.ResponseWriter, u user, refresh string) error {
	access, err := a.tokens.sign(u, time.Now())
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	setSession(w, access, int(a.accessLife/time.Second))
	setCSRF(w)
	return answer(w, http.StatusOK, map[string]any{
		"access_token": access, "refresh_token": refresh, "token_type": "Bearer",
		"expires_in": int(a.accessLife / time.Second),
		"user":       map[string]string{"id": u.ID, "username": u.Username, "role": u.Role},
	})
}

func setSession(w http.ResponseWriter, token string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: token, Path: "/", MaxAge: maxAge, HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
	})
}

func digest(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}
