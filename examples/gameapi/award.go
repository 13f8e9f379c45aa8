package main

import (
	"context"
	"database/sql"
	"net/http"
	"slices"
)

// award gives experience to characters of the campaign's members: to all in the request, or to
// none. The response names their owners, but not the characters.
func (a *API) award(w http.ResponseWriter, r *http.Request, me identity) error {
	var given struct {
		CharacterIDs []string `json:"character_ids"`
		XP           int      `json:"xp"`
	}
	if err := decode(w, r, &given); err != nil {
		return err
	}
	if given.XP < 1 || given.XP > 100_000 || len(given.CharacterIDs) == 0 ||
		len(given.CharacterIDs) > 50 {
		return invalid("xp must be 1 to 100000, and character_ids name 1 to 50 characters")
	}
	owners := []string{}
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		c, err := leadCampaign(r.Context(), tx, me, r.PathValue("id"))
		if err != nil {
			return err
		}
		for _, id := range given.CharacterIDs {
			owner, err := grant(r.Context(), tx, c, id, given.XP)
			if err != nil {
				return err
			}
			if !slices.Contains(owners, owner) {
				owners = append(owners, owner)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string]any{"xp": given.XP, "user_ids": owners})
}

// grant adds xp to a character of one of the campaign's members, and returns its owner.
func grant(ctx context.Context, tx *sql.Tx, c campaign, characterID string,
	xp int) (owner string, err error) {
	owner, err = column(tx.QueryRowContext(ctx,
		`UPDATE characters SET xp = xp + ? WHERE id = ? RETURNING user_id`, xp, characterID))
	if err == nil && !slices.Contains(c.MemberIDs, owner) {
		err = sql.ErrNoRows
	}
	return owner, missing(err, "character in this campaign")
}
