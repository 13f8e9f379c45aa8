package main

import (
	"context"
	"database/sql"
	"net/http"
)

// state is the state of a session: set by its dm, seen by all at the table.
type state struct {
	SessionID string `json:"session_id"`
	Scene     string `json:"scene"`
	Round     int    `json:"round"`
}

func loadState(ctx context.Context, q querier, sessionID string) (state, error) {
	st := state{SessionID: sessionID}
	err := q.QueryRowContext(ctx, `SELECT scene, round FROM sessions WHERE id = ?`,
		sessionID).Scan(&st.Scene, &st.Round)
	return st, missing(err, "session")
}

func (a *API) getState(w http.ResponseWriter, r *http.Request, me identity) error {
	s, err := loadSession(r.Context(), a.db.reader, me, r.PathValue("id"))
	if err != nil {
		return err
	}
	st, err := loadState(r.Context(), a.db.reader, s.ID)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, st)
}

func (a *API) changeState(w http.ResponseWriter, r *http.Request, me identity) error {
	var given struct {
		Scene *string `json:"scene"`
		Round *int    `json:"round"`
	}
	if err := decode(w, r, &given); err != nil {
		return err
	}
	var st state
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		s, err := leadSession(r.Context(), tx, me, r.PathValue("id"))
		if err != nil {
			return err
		}
		if st, err = loadState(r.Context(), tx, s.ID); err != nil {
			return err
		}
		set(&st.Scene, given.Scene)
		set(&st.Round, given.Round)
		if _, err := tx.ExecContext(r.Context(),
			`UPDATE sessions SET scene = ?, round = ? WHERE id = ?`, st.Scene, st.Round,
			s.ID); err != nil {
			return err
		}
		return record(r.Context(), tx, s.ID, me, "state", st)
	})
	if err != nil {
		return err
	}
	a.hub.wake(st.SessionID)
	return answer(w, http.StatusOK, st)
}
