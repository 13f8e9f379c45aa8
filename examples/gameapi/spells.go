package main

import (
	"context"
	"database/sql"
	"net/http"
)

// A spell is a page of the rules compendium: read by everybody, written by dms.
type spell struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Level  int    `json:"level"`
	School string `json:"school"`
	Text   string `json:"text"`
}

const spellColumns = `id, name, level, school, text`

func scanSpell(row scanner) (spell, error) {
	var s spell
	err := row.Scan(&s.ID, &s.Name, &s.Level, &s.School, &s.Text)
	return s, err
}

// listSpells lists all spells, or those of one school.
func (a *API) listSpells(w http.ResponseWriter, r *http.Request, _ identity) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	school := r.URL.Query().Get("school")
	const from = ` FROM spells WHERE ? = '' OR school = ?`
	var total int
	if err := a.db.reader.QueryRowContext(r.Context(), `SELECT count(*)`+from, school,
		school).Scan(&total); err != nil {
		return err
	}
	rows, err := a.db.reader.QueryContext(r.Context(),
		`SELECT `+spellColumns+from+` ORDER BY level, name, id LIMIT ? OFFSET ?`, school, school,
		p.limit, p.offset())
	list, err := collect(rows, err, scanSpell)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", publicPage)
	return answerPage(w, p, total, list)
}

func (a *API) getSpell(w http.ResponseWriter, r *http.Request, _ identity) error {
	s, err := loadSpell(r.Context(), a.db.reader, r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", publicPage)
	return answerTagged(w, r, s)
}

func loadSpell(ctx context.Context, q querier, id string) (spell, error) {
	s, err := scanSpell(q.QueryRowContext(ctx,
		`SELECT `+spellColumns+` FROM spells WHERE id = ?`, id))
	return s, missing(err, "spell")
}

// spellChange has the fields that a dm may set; absent fields keep their value.
type spellChange struct {
	Name   *string `json:"name"`
	Level  *int    `json:"level"`
	School *string `json:"school"`
	Text   *string `json:"text"`
}

func (change spellChange) apply(s *spell) error {
	set(&s.Name, change.Name)
	set(&s.Level, change.Level)
	set(&s.School, change.School)
	set(&s.Text, change.Text)
	if s.Name == "" || len(s.Name) > 100 || len(s.School) > 100 || len(s.Text) > 10_000 ||
		s.Level < 0 || s.Level > 9 {
		return invalid(
			"name must have 1 to 100 bytes, school up to 100, text up to 10000, and level be 0 to 9")
	}
	return nil
}

func (a *API) createSpell(w http.ResponseWriter, r *http.Request, me identity) error {
	s := spell{ID: newID()}
	err := a.writeSpell(w, r, me, func(tx *sql.Tx, change spellChange) error {
		if err := change.apply(&s); err != nil {
			return err
		}
		return insertSpell(r.Context(), tx, s)
	})
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/rules/spells/"+s.ID)
	return answer(w, http.StatusCreated, s)
}

func (a *API) changeSpell(w http.ResponseWriter, r *http.Request, me identity) error {
	var s spell
	err := a.writeSpell(w, r, me, func(tx *sql.Tx, change spellChange) (err error) {
		if s, err = loadSpell(r.Context(), tx, r.PathValue("id")); err != nil {
			return err
		}
		if err := change.apply(&s); err != nil {
			return err
		}
		_, err = tx.ExecContext(r.Context(),
			`UPDATE spells SET name = ?, level = ?, school = ?, text = ? WHERE id = ?`, s.Name,
			s.Level, s.School, s.Text, s.ID)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, s)
}

// writeSpell runs a dm's change in a transaction.
func (a *API) writeSpell(w http.ResponseWriter, r *http.Request, me identity,
	write func(*sql.Tx, spellChange) error) error {
	if !me.isDM() {
		return forbidden("only a dm writes rules")
	}
	var change spellChange
	if err := decode(w, r, &change); err != nil {
		return err
	}
	return a.db.write(r.Context(), func(tx *sql.Tx) error { return write(tx, change) })
}

func (a *API) deleteSpell(w http.ResponseWriter, r *http.Request, me identity) error {
	if !me.isDM() {
		return forbidden("only a dm writes rules")
	}
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		_, err := column(tx.QueryRowContext(r.Context(),
			`DELETE FROM spells WHERE id = ? RETURNING id`, r.PathValue("id")))
		return missing(err, "spell")
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func insertSpell(ctx context.Context, tx *sql.Tx, s spell) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO spells (`+spellColumns+`) VALUES (?, ?, ?, ?, ?)`,
		s.ID, s.Name, s.Level, s.School, s.Text)
	return err
}
