package main

import (
	"database/sql"
	"net/http"
	"slices"
)

// A player is a character at the table, as all its members see it.
type player struct {
	CharacterID string `json:"character_id"`
	UserID      string `json:"user_id"`
	Name        string `json:"name"`
	Level       int    `json:"level"`
	HP          int    `json:"hp"`
	MaxHP       int    `json:"max_hp"`
}

func scanPlayer(row scanner) (player, error) {
	var p player
	var xp int
	err := row.Scan(&p.CharacterID, &p.UserID, &p.Name, &xp, &p.HP, &p.MaxHP)
	p.Level = level(xp)
	return p, err
}

func (a *API) listPlayers(w http.ResponseWriter, r *http.Request, me identity) error {
	s, err := loadSession(r.Context(), a.db.reader, me, r.PathValue("id"))
	if err != nil {
		return err
	}
	rows, err := a.db.reader.QueryContext(r.Context(),
		`SELECT ch.id, ch.user_id, ch.name, ch.xp, ch.hp, ch.max_hp
		FROM session_players p JOIN characters ch ON ch.id = p.character_id WHERE p.session_id = ? ORDER BY ch.name, ch.id`, s.ID)
	players, err := collect(rows, err, scanPlayer)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, players)
}

// seat is the response to a change of players.
type seat struct {
	SessionID   string `json:"session_id"`
	CharacterID string `json:"character_id"`
}

// addPlayer seats a character. Its owner or a dm may do so, and its owner must be a member of the
// campaign.
func (a *API) addPlayer(w http.ResponseWriter, r *http.Request, me identity) error {
	var given struct {
		CharacterID string `json:"character_id"`
	}
	if err := decode(w, r, &given); err != nil {
		return err
	}
	seated := seat{r.PathValue("id"), given.CharacterID}
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		s, err := loadSession(r.Context(), tx, me, seated.SessionID)
		if err != nil {
			return err
		}
		c, err := loadCharacter(r.Context(), tx, me, seated.CharacterID)
		if err != nil {
			return err
		}
		if !slices.Contains(s.MemberIDs, c.UserID) {
			return forbidden("the character's player is no member of the campaign")
		}
		if _, err := tx.ExecContext(r.Context(),
			`INSERT OR IGNORE INTO session_players (session_id, character_id) VALUES (?, ?)`, s.ID,
			c.ID); err != nil {
			return err
		}
		return record(r.Context(), tx, s.ID, me, "joined", seated)
	})
	if err != nil {
		return err
	}
	a.hub.wake(seated.SessionID)
	return answer(w, http.StatusCreated, seated)
}

func (a *API) removePlayer(w http.ResponseWriter, r *http.Request, me identity) error {
	left := seat{r.PathValue("id"), r.PathValue("character")}
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		if _, err := loadSession(r.Context(), tx, me, left.SessionID); err != nil {
			return err
		}
		if _, err := loadCharacter(r.Context(), tx, me, left.CharacterID); err != nil {
			return err
		}
		_, err := column(tx.QueryRowContext(r.Context(),
			`DELETE FROM session_players WHERE session_id = ? AND character_id = ? RETURNING character_id`,
			left.SessionID, left.CharacterID))
		if err != nil {
			return missing(err, "player")
		}
		return record(r.Context(), tx, left.SessionID, me, "left", left)
	})
	if err != nil {
		return err
	}
	a.hub.wake(left.SessionID)
	return answer(w, http.StatusOK, left)
}
