package main

import (
	"database/sql"
	"net/http"
)

// trader is one side of a trade.
type trader struct {
	ID     string `json:"id"`
	UserID string `json:"user_id"`
}

// trade hands an item to another character. The request names the item and the receiver; only the
// response names the giver.
func (a *API) trade(w http.ResponseWriter, r *http.Request, me identity) error {
	var given struct {
		ItemID string `json:"item_id"`
		To     string `json:"to_character_id"`
	}
	if err := decode(w, r, &given); err != nil {
		return err
	}
	var traded struct {
		Item item   `json:"item"`
		From trader `json:"from"`
		To   trader `json:"to"`
	}
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		i, err := scanItem(tx.QueryRowContext(r.Context(),
			`SELECT `+itemColumns+` FROM items WHERE id = ?`, given.ItemID))
		if err != nil {
			return missing(err, "item")
		}
		from, err := loadCharacter(r.Context(), tx, me, i.CharacterID)
		if err != nil {
			return notFound("item")
		}
		err = tx.QueryRowContext(r.Context(), `SELECT id, user_id FROM characters WHERE id = ?`,
			given.To).Scan(&traded.To.ID, &traded.To.UserID)
		if err != nil {
			return missing(err, "character")
		}
		i.CharacterID = traded.To.ID
		traded.Item, traded.From = i, trader{from.ID, from.UserID}
		_, err = tx.ExecContext(r.Context(), `UPDATE items SET character_id = ? WHERE id = ?`,
			i.CharacterID, i.ID)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, traded)
}
