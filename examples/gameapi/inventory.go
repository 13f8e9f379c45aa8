package main

import (
	"context"
	"database/sql"
	"net/http"
)

// An item lies in the inventory of one character.
type item struct {
	ID          string `json:"id"`
	CharacterID string `json:"character_id"`
	Name        string `json:"name"`
	Quantity    int    `json:"quantity"`
	Weight      int    `json:"weight"` // pounds, of one
}

const itemColumns = `id, character_id, name, quantity, weight`

func scanItem(row scanner) (item, error) {
	var i item
	err := row.Scan(&i.ID, &i.CharacterID, &i.Name, &i.Quantity, &i.Weight)
	return i, err
}

func itemsOf(ctx context.Context, q querier, characterID string) ([]item, error) {
	rows, err := q.QueryContext(ctx,
		`SELECT `+itemColumns+` FROM items WHERE character_id = ? ORDER BY name, id`, characterID)
	return collect(rows, err, scanItem)
}

func (a *API) listItems(w http.ResponseWriter, r *http.Request, me identity) error {
	c, err := loadCharacter(r.Context(), a.db.reader, me, r.PathValue("id"))
	if err != nil {
		return err
	}
	items, err := itemsOf(r.Context(), a.db.reader, c.ID)
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, items)
}

// itemChange has the fields that a client may set; absent fields keep their value.
type itemChange struct {
	Name     *string `json:"name"`
	Quantity *int    `json:"quantity"`
	Weight   *int    `json:"weight"`
}

func (change itemChange) apply(i *item) error {
	set(&i.Name, change.Name)
	set(&i.Quantity, change.Quantity)
	set(&i.Weight, change.Weight)
	if i.Name == "" || len(i.Name) > 100 || i.Quantity < 1 || i.Quantity > 10_000 || i.Weight < 0 ||
		i.Weight > 10_000 {
		return invalid("name must have 1 to 100 bytes, quantity be 1 to 10000, weight 0 to 10000")
	}
	return nil
}

func (a *API) addItem(w http.ResponseWriter, r *http.Request, me identity) error {
	var change itemChange
	if err := decode(w, r, &change); err != nil {
		return err
	}
	i := item{ID: newID(), CharacterID: r.PathValue("id"), Quantity: 1}
	if err := change.apply(&i); err != nil {
		return err
	}
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		if _, err := loadCharacter(r.Context(), tx, me, i.CharacterID); err != nil {
			return err
		}
		return insertItem(r.Context(), tx, i)
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusCreated, i)
}

func insertItem(ctx context.Context, tx *sql.Tx, i item) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO items (`+itemColumns+`) VALUES (?, ?, ?, ?, ?)`,
		i.ID, i.CharacterID, i.Name, i.Quantity, i.Weight)
	return err
}

func (a *API) changeItem(w http.ResponseWriter, r *http.Request, me identity) error {
	var change itemChange
	if err := decode(w, r, &change); err != nil {
		return err
	}
	var i item
	err := a.db.write(r.Context(), func(tx *sql.Tx) (err error) {
		if i, err = loadItemOf(r, tx, me); err != nil {
			return err
		}
		if err := change.apply(&i); err != nil {
			return err
		}
		_, err = tx.ExecContext(r.Context(),
			`UPDATE items SET name = ?, quantity = ?, weight = ? WHERE id = ?`, i.Name,
			i.Quantity, i.Weight, i.ID)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, i)
}

func (a *API) dropItem(w http.ResponseWriter, r *http.Request, me identity) error {
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		i, err := loadItemOf(r, tx, me)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(r.Context(), `DELETE FROM items WHERE id = ?`, i.ID)
		return err
	})
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// loadItemOf loads the item that the path names, if I may change it and its character.
func loadItemOf(r *http.Request, tx *sql.Tx, me identity) (item, error) {
	if _, err := loadCharacter(r.Context(), tx, me, r.PathValue("id")); err != nil {
		return item{}, err
	}
	i, err := scanItem(tx.QueryRowContext(r.Context(),
		`SELECT `+itemColumns+` FROM items WHERE id = ? AND character_id = ?`, r.PathValue("item"),
		r.PathValue("id")))
	return i, missing(err, "item")
}
