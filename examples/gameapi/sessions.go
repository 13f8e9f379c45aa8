package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"slices"
)

// A session is one evening of a campaign: seen by its members, changed by its dm.
type session struct {
	ID         string   `json:"id"`
	CampaignID string   `json:"campaign_id"`
	Title      string   `json:"title"`
	Status     string   `json:"status"` // planned, active, done
	MemberIDs  []string `json:"member_ids"`

	dmID string
}

// sessionColumns gathers the campaign's members into a JSON list.
const sessionColumns = `s.id, s.campaign_id, s.title, s.status, c.dm_id,
	(SELECT json_group_array(user_id ORDER BY user_id) FROM members WHERE campaign_id = s.campaign_id)`

const sessionTables = `sessions s JOIN campaigns c ON c.id = s.campaign_id`

func scanSession(row scanner) (session, error) {
	var s session
	var members []byte
	if err := row.Scan(&s.ID, &s.CampaignID, &s.Title, &s.Status, &s.dmID, &members); err != nil {
		return s, err
	}
	return s, json.Unmarshal(members, &s.MemberIDs)
}

// loadSession returns the session if I am a member of its campaign.
func loadSession(ctx context.Context, q querier, me identity, id string) (session, error) {
	s, err := scanSession(q.QueryRowContext(ctx,
		`SELECT `+sessionColumns+` FROM `+sessionTables+` WHERE s.id = ?`, id))
	if err == nil && !slices.Contains(s.MemberIDs, me.userID) {
		err = sql.ErrNoRows
	}
	return s, missing(err, "session")
}

// leadSession returns the session if I am its campaign's dm.
func leadSession(ctx context.Context, q querier, me identity, id string) (session, error) {
	s, err := loadSession(ctx, q, me, id)
	if err == nil && s.dmID != me.userID {
		err = forbidden("only the campaign's dm may do that")
	}
	return s, err
}

// listSessions lists the sessions of all my campaigns, or those of one status.
func (a *API) listSessions(w http.ResponseWriter, r *http.Request, me identity) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	status := r.URL.Query().Get("status")
	from := ` FROM ` + sessionTables +
		` JOIN members m ON m.campaign_id = s.campaign_id WHERE m.user_id = ? AND (? = '' OR s.status = ?)`
	var total int
	if err := a.db.reader.QueryRowContext(r.Context(), `SELECT count(*)`+from, me.userID, status,
		status).Scan(&total); err != nil {
		return err
	}
	rows, err := a.db.reader.QueryContext(r.Context(),
		`SELECT `+sessionColumns+from+` ORDER BY s.title, s.id LIMIT ? OFFSET ?`,
		me.userID, status, status, p.limit, p.offset())
	list, err := collect(rows, err, scanSession)
	if err != nil {
		return err
	}
	return answerPage(w, p, total, list)
}

func (a *API) getSession(w http.ResponseWriter, r *http.Request, me identity) error {
	s, err := loadSession(r.Context(), a.db.reader, me, r.PathValue("id"))
	if err != nil {
		return err
	}
	return answerTagged(w, r, s)
}

// sessionChange has the fields that a dm may set; absent fields keep their value.
type sessionChange struct {
	Title  *string `json:"title"`
	Status *string `json:"status"`
}

func (change sessionChange) apply(s *session) error {
	set(&s.Title, change.Title)
	set(&s.Status, change.Status)
	if s.Title == "" || len(s.Title) > 100 ||
		!slices.Contains([]string{"planned", "active", "done"}, s.Status) {
		return invalid("title must have 1 to 100 bytes, and status be planned, active or done")
	}
	return nil
}

func (a *API) createSession(w http.ResponseWriter, r *http.Request, me identity) error {
	var change sessionChange
	if err := decode(w, r, &change); err != nil {
		return err
	}
	s := session{ID: newID(), Status: "planned"}
	if err := change.apply(&s); err != nil {
		return err
	}
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		c, err := leadCampaign(r.Context(), tx, me, r.PathValue("id"))
		if err != nil {
			return err
		}
		s.CampaignID, s.MemberIDs = c.ID, c.MemberIDs
		return insertSession(r.Context(), tx, s)
	})
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/sessions/"+s.ID)
	return answer(w, http.StatusCreated, s)
}

func insertSession(ctx context.Context, tx *sql.Tx, s session) error {
	_, err := tx.ExecContext(ctx,
		`INSERT INTO sessions (id, campaign_id, title, status) VALUES (?, ?, ?, ?)`, s.ID,
		s.CampaignID, s.Title, s.Status)
	return err
}

func (a *API) changeSession(w http.ResponseWriter, r *http.Request, me identity) error {
	var change sessionChange
	if err := decode(w, r, &change); err != nil {
		return err
	}
	var s session
	err := a.db.write(r.Context(), func(tx *sql.Tx) (err error) {
		if s, err = leadSession(r.Context(), tx, me, r.PathValue("id")); err != nil {
			return err
		}
		if err := change.apply(&s); err != nil {
			return err
		}
		if _, err := tx.ExecContext(r.Context(),
			`UPDATE sessions SET title = ?, status = ? WHERE id = ?`, s.Title, s.Status,
			s.ID); err != nil {
			return err
		}
		return record(r.Context(), tx, s.ID, me, "session", s)
	})
	if err != nil {
		return err
	}
	a.hub.wake(s.ID)
	return answer(w, http.StatusOK, s)
}

// deleteSession answers with the deleted session.
func (a *API) deleteSession(w http.ResponseWriter, r *http.Request, me identity) error {
	var s session
	err := a.db.write(r.Context(), func(tx *sql.Tx) (err error) {
		if s, err = leadSession(r.Context(), tx, me, r.PathValue("id")); err != nil {
			return err
		}
		_, err = tx.ExecContext(r.Context(), `DELETE FROM sessions WHERE id = ?`, s.ID)
		return err
	})
	if err != nil {
		return err
	}
	a.hub.wake(s.ID)
	return answer(w, http.StatusOK, s)
}
