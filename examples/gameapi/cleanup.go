package main

import (
	"crypto/subtle"
	"database/sql"
	"net/http"
	"time"
)

// cleanup deletes tokens that expired before older_than. It is for the operator's timer, not for
// players.
func (a *API) cleanup(w http.ResponseWriter, r *http.Request, _ identity) error {
	want := "Bearer " + a.cleanupToken
	if a.cleanupToken == "" ||
		subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(want)) != 1 {
		return unauthorized("cleaning up takes its own token")
	}
	given := struct {
		Type      string    `json:"type"`
		OlderThan time.Time `json:"older_than"`
	}{OlderThan: time.Now()}
	if err := decode(w, r, &given); err != nil {
		return err
	}
	if given.Type != "expired_tokens" {
		return invalid(`the only type there is, is "expired_tokens"`)
	}
	if given.OlderThan.After(time.Now()) {
		return invalid("older_than lies in the future")
	}
	var deleted int64
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		for _, statement := range []string{
			`DELETE FROM refresh_tokens WHERE expires_at < ?`,
			`DELETE FROM revoked_tokens WHERE expires_at < ?`,
		} {
			done, err := tx.ExecContext(r.Context(), statement, given.OlderThan.Unix())
			if err != nil {
				return err
			}
			n, err := done.RowsAffected()
			if err != nil {
				return err
			}
			deleted += n
		}
		return nil
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string]int64{"deleted": deleted})
}
