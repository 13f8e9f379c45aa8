package main

import (
	"context"
	"database/sql"
	"net/http"
)

// A user is a player or dm, as all users may see them.
type user struct {
	ID          string `json:"id"`
	Username    string `json:"username"`
	Role        string `json:"role"`
	DisplayName string `json:"display_name"`
	Bio         string `json:"bio"`
}

func loadUser(ctx context.Context, q querier, id string) (user, error) {
	var u user
	err := q.QueryRowContext(ctx,
		`SELECT id, username, role, display_name, bio FROM users WHERE id = ?`, id).
		Scan(&u.ID, &u.Username, &u.Role, &u.DisplayName, &u.Bio)
	return u, missing(err, "user")
}

func (a *API) getMe(w http.ResponseWriter, r *http.Request, me identity) error {
	u, err := loadUser(r.Context(), a.db.reader, me.userID)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", privatePage)
	return answerTagged(w, r, u)
}

func (a *API) getUser(w http.ResponseWriter, r *http.Request, _ identity) error {
	u, err := loadUser(r.Context(), a.db.reader, r.PathValue("id"))
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, u)
}

func (a *API) putMe(w http.ResponseWriter, r *http.Request, me identity) error {
	var given struct {
		DisplayName *string `json:"display_name"`
		Bio         *string `json:"bio"`
	}
	if err := decode(w, r, &given); err != nil {
		return err
	}
	var u user
	err := a.db.write(r.Context(), func(tx *sql.Tx) (err error) {
		if u, err = loadUser(r.Context(), tx, me.userID); err != nil {
			return err
		}
		set(&u.DisplayName, given.DisplayName)
		set(&u.Bio, given.Bio)
		_, err = tx.ExecContext(r.Context(),
			`UPDATE users SET display_name = ?, bio = ? WHERE id = ?`, u.DisplayName, u.Bio, u.ID)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, u)
}
