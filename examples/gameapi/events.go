package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"math"
	"net/http"
	"time"
)

// An event happened in a session. The ids of a session's events grow.
type event struct {
	ID        int64           `json:"id"`
	SessionID string          `json:"session_id"`
	UserID    string          `json:"user_id"` // the user who caused it
	Type      string          `json:"type"`    // say, roll, state, session, character, joined, left
	Data      json.RawMessage `json:"data"`
	At        string          `json:"at"`
}

func scanEvent(row scanner) (event, error) {
	var e event
	var data string
	err := row.Scan(&e.ID, &e.SessionID, &e.UserID, &e.Type, &data, &e.At)
	e.Data = json.RawMessage(data)
	return e, err
}

// record writes an event as part of its change. Wake the hub after the commit.
func record(ctx context.Context, tx *sql.Tx, sessionID string, me identity,
	kind string, data any) error {
	encoded, err := json.Marshal(data)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx,
		`INSERT INTO events (session_id, user_id, type, data, at) VALUES (?, ?, ?, ?, ?)`,
		sessionID, me.userID, kind, string(encoded), time.Now().UTC().Format(time.RFC3339Nano))
	return err
}

// recordForCharacter records the event in every session under way in which the character plays, and
// returns their ids.
func recordForCharacter(ctx context.Context, tx *sql.Tx, me identity,
	c character) ([]string, error) {
	rows, err := tx.QueryContext(ctx,
		`SELECT s.id FROM sessions s JOIN session_players p ON p.session_id = s.id WHERE p.character_id = ? AND s.status = 'active'`, c.ID)
	ids, err := collect(rows, err, column)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if err := record(ctx, tx, id, me, "character",
			map[string]any{"character_id": c.ID, "name": c.Name, "hp": c.HP}); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// eventsAfter returns up to limit events with a greater id than after, if I am still a member.
func (a *API) eventsAfter(ctx context.Context, me identity, sessionID string, after int64,
	limit int) ([]event, error) {
	if _, err := loadSession(ctx, a.db.reader, me, sessionID); err != nil {
		return nil, err
	}
	rows, err := a.db.reader.QueryContext(ctx,
		`SELECT id, session_id, user_id, type, data, at FROM events WHERE session_id = ? AND id > ? ORDER BY id LIMIT ?`,
		sessionID, after, limit)
	return collect(rows, err, scanEvent)
}

// lastEvent is the id of the session's newest event; 0 if there is none.
func (a *API) lastEvent(ctx context.Context, sessionID string) (id int64, err error) {
	err = a.db.reader.QueryRowContext(ctx,
		`SELECT coalesce(max(id), 0) FROM events WHERE session_id = ?`, sessionID).Scan(&id)
	return id, err
}

func (a *API) listEvents(w http.ResponseWriter, r *http.Request, me identity) error {
	after, err := intParam(r, "after", 0, 0, math.MaxInt)
	if err != nil {
		return err
	}
	limit, err := intParam(r, "limit", 100, 1, 100)
	if err != nil {
		return err
	}
	events, err := a.eventsAfter(r.Context(), me, r.PathValue("id"), int64(after), limit)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, events)
}
