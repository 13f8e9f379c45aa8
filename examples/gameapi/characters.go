package main

import (
	"context"
	"database/sql"
	"net/http"
)

// A character belongs to one user for good. Its owner and every dm may see and change it.
type character struct {
	ID        string `json:"id"`
	UserID    string `json:"user_id"`
	Name      string `json:"name"`
	Class     string `json:"class"`
	Level     int    `json:"level"` // derived from XP
	XP        int    `json:"xp"`
	HP        int    `json:"hp"`
	MaxHP     int    `json:"max_hp"`
	Strength  int    `json:"strength"`
	Dexterity int    `json:"dexterity"`
	Wisdom    int    `json:"wisdom"`
}

const characterColumns = `id, user_id, name, class, xp, hp, max_hp, strength, dexterity, wisdom`

func scanCharacter(row scanner) (character, error) {
	var c character
	err := row.Scan(&c.ID, &c.UserID, &c.Name, &c.Class, &c.XP, &c.HP, &c.MaxHP, &c.Strength,
		&c.Dexterity, &c.Wisdom)
	c.Level = level(c.XP)
	return c, err
}

// level is 1 to 20, one for each thousand of XP.
func level(xp int) int { return min(1+xp/1000, 20) }

// loadCharacter returns the character if I may see it.
func loadCharacter(ctx context.Context, q querier, me identity, id string) (character, error) {
	c, err := scanCharacter(q.QueryRowContext(ctx,
		`SELECT `+characterColumns+` FROM characters WHERE id = ?`, id))
	if err == nil && c.UserID != me.userID && !me.isDM() {
		err = sql.ErrNoRows
	}
	return c, missing(err, "character")
}

// listCharacters lists my own characters, also for a dm.
func (a *API) listCharacters(w http.ResponseWriter, r *http.Request, me identity) error {
	return a.answerCharactersOf(w, r, me.userID)
}

func (a *API) listUserCharacters(w http.ResponseWriter, r *http.Request, me identity) error {
	if r.PathValue("id") != me.userID && !me.isDM() {
		return forbidden("only a dm looks into the characters of others")
	}
	return a.answerCharactersOf(w, r, r.PathValue("id"))
}

func (a *API) answerCharactersOf(w http.ResponseWriter, r *http.Request, userID string) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	var total int
	if err := a.db.reader.QueryRowContext(r.Context(),
		`SELECT count(*) FROM characters WHERE user_id = ?`, userID).Scan(&total); err != nil {
		return err
	}
	rows, err := a.db.reader.QueryContext(r.Context(),
		`SELECT `+characterColumns+
			` FROM characters WHERE user_id = ? ORDER BY name, id LIMIT ? OFFSET ?`,
		userID, p.limit, p.offset())
	list, err := collect(rows, err, scanCharacter)
	if err != nil {
		return err
	}
	return answerPage(w, p, total, list)
}

func (a *API) getCharacter(w http.ResponseWriter, r *http.Request, me identity) error {
	c, err := loadCharacter(r.Context(), a.db.reader, me, r.PathValue("id"))
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", privatePage)
	return answerTagged(w, r, c)
}

// characterChange has the fields that a client may set; absent fields keep their value, with PUT as
// with PATCH.
type characterChange struct {
	UserID    *string `json:"user_id"` // at creation, and by a dm only
	Name      *string `json:"name"`
	Class     *string `json:"class"`
	HP        *int    `json:"hp"`
	MaxHP     *int    `json:"max_hp"`
	Strength  *int    `json:"strength"`
	Dexterity *int    `json:"dexterity"`
	Wisdom    *int    `json:"wisdom"`
}

func (change characterChange) apply(c *character) error {
	set(&c.Name, change.Name)
	set(&c.Class, change.Class)
	set(&c.HP, change.HP)
	set(&c.MaxHP, change.MaxHP)
	set(&c.Strength, change.Strength)
	set(&c.Dexterity, change.Dexterity)
	set(&c.Wisdom, change.Wisdom)
	switch {
	case c.Name == "" || len(c.Name) > 100 || c.Class == "" || len(c.Class) > 100:
		return invalid("name and class must have 1 to 100 bytes")
	case c.MaxHP < 1 || c.MaxHP > 1000 || c.HP < 0 || c.HP > c.MaxHP:
		return invalid("max_hp must be 1 to 1000, and hp 0 to max_hp")
	case !isAbility(c.Strength) || !isAbility(c.Dexterity) || !isAbility(c.Wisdom):
		return invalid("an ability must be 1 to 30")
	}
	return nil
}

func isAbility(n int) bool { return 1 <= n && n <= 30 }

func (a *API) createCharacter(w http.ResponseWriter, r *http.Request, me identity) error {
	var change characterChange
	if err := decode(w, r, &change); err != nil {
		return err
	}
	c := character{
		ID: newID(), UserID: me.userID, Level: 1, HP: 10, MaxHP: 10, Strength: 10,
		Dexterity: 10, Wisdom: 10,
	}
	set(&c.UserID, change.UserID)
	if c.UserID != me.userID && !me.isDM() {
		return forbidden("only a dm makes characters for others")
	}
	if err := change.apply(&c); err != nil {
		return err
	}
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		if _, err := loadUser(r.Context(), tx, c.UserID); err != nil {
			return err
		}
		return insertCharacter(r.Context(), tx, c)
	})
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/characters/"+c.ID)
	return answer(w, http.StatusCreated, c)
}

func insertCharacter(ctx context.Context, tx *sql.Tx, c character) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO characters (`+characterColumns+
		`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		c.ID, c.UserID, c.Name, c.Class, c.XP, c.HP, c.MaxHP, c.Strength, c.Dexterity, c.Wisdom)
	return err
}

func (a *API) changeCharacter(w http.ResponseWriter, r *http.Request, me identity) error {
	var change characterChange
	if err := decode(w, r, &change); err != nil {
		return err
	}
	var c character
	var told []string
	err := a.db.write(r.Context(), func(tx *sql.Tx) (err error) {
		if c, err = loadCharacter(r.Context(), tx, me, r.PathValue("id")); err != nil {
			return err
		}
		if err := change.apply(&c); err != nil {
			return err
		}
		_, err = tx.ExecContext(r.Context(),
			`UPDATE characters SET name = ?, class = ?, hp = ?, max_hp = ?, strength = ?, dexterity = ?, wisdom = ? WHERE id = ?`,
			c.Name, c.Class, c.HP, c.MaxHP, c.Strength, c.Dexterity, c.Wisdom, c.ID)
		if err != nil {
			return err
		}
		told, err = recordForCharacter(r.Context(), tx, me, c)
		return err
	})
	if err != nil {
		return err
	}
	a.hub.wake(told...)
	return answer(w, http.StatusOK, c)
}

// deleteCharacter answers with the deleted character.
func (a *API) deleteCharacter(w http.ResponseWriter, r *http.Request, me identity) error {
	var c character
	err := a.db.write(r.Context(), func(tx *sql.Tx) (err error) {
		if c, err = loadCharacter(r.Context(), tx, me, r.PathValue("id")); err != nil {
			return err
		}
		_, err = tx.ExecContext(r.Context(), `DELETE FROM characters WHERE id = ?`, c.ID)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, c)
}
