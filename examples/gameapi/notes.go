package main

import (
	"database/sql"
	"net/http"
)

// A note is a player's own: not even a dm reads it.
type note struct {
	ID          string `json:"id"`
	CharacterID string `json:"character_id"`
	Text        string `json:"text"`
}

func scanNote(row scanner) (note, error) {
	var n note
	err := row.Scan(&n.ID, &n.CharacterID, &n.Text)
	return n, err
}

// ownCharacter returns the id of the character that the path names, if it is mine.
func ownCharacter(r *http.Request, q querier, me identity) (string, error) {
	c, err := loadCharacter(r.Context(), q, me, r.PathValue("id"))
	if err == nil && c.UserID != me.userID {
		err = forbidden("notes are for the character's player alone")
	}
	return c.ID, err
}

func (a *API) listNotes(w http.ResponseWriter, r *http.Request, me identity) error {
	id, err := ownCharacter(r, a.db.reader, me)
	if err != nil {
		return err
	}
	rows, err := a.db.reader.QueryContext(r.Context(),
		`SELECT id, character_id, text FROM notes WHERE character_id = ? ORDER BY rowid`, id)
	notes, err := collect(rows, err, scanNote)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, notes)
}

func (a *API) addNote(w http.ResponseWriter, r *http.Request, me identity) error {
	text, err := noteText(w, r)
	if err != nil {
		return err
	}
	n := note{ID: newID(), Text: text}
	err = a.db.write(r.Context(), func(tx *sql.Tx) (err error) {
		if n.CharacterID, err = ownCharacter(r, tx, me); err != nil {
			return err
		}
		_, err = tx.ExecContext(r.Context(),
			`INSERT INTO notes (id, character_id, text) VALUES (?, ?, ?)`, n.ID,
			n.CharacterID, n.Text)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, n)
}

func (a *API) changeNote(w http.ResponseWriter, r *http.Request, me identity) error {
	text, err := noteText(w, r)
	if err != nil {
		return err
	}
	var n note
	err = a.db.write(r.Context(), func(tx *sql.Tx) error {
		id, err := ownCharacter(r, tx, me)
		if err != nil {
			return err
		}
		n, err = scanNote(tx.QueryRowContext(r.Context(),
			`UPDATE notes SET text = ? WHERE id = ? AND character_id = ? RETURNING id, character_id, text`,
			text, r.PathValue("note"), id))
		return missing(err, "note")
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, n)
}

func (a *API) deleteNote(w http.ResponseWriter, r *http.Request, me identity) error {
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		id, err := ownCharacter(r, tx, me)
		if err != nil {
			return err
		}
		_, err = column(tx.QueryRowContext(r.Context(),
			`DELETE FROM notes WHERE id = ? AND character_id = ? RETURNING id`,
			r.PathValue("note"), id))
		return missing(err, "note")
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func noteText(w http.ResponseWriter, r *http.Request) (string, error) {
	var given struct{ Text string }
	if err := decode(w, r, &given); err != nil {
		return "", err
	}
	if given.Text == "" || len(given.Text) > 10_000 {
		return "", invalid("text must have 1 to 10000 bytes")
	}
	return given.Text, nil
}
