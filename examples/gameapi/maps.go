package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"time"
)

// A gameMap is drawn from a seed; everybody may see it.
type gameMap struct {
	ID        string `json:"id"`
	Title     string `json:"title"`
	Seed      int64  `json:"seed"`
	Width     int    `json:"width"`
	Height    int    `json:"height"`
	Size      int64  `json:"size"` // of the image, in bytes
	changedAt int64
}

const mapColumns = `id, title, seed, width, height, changed_at`

func scanMap(row scanner) (gameMap, error) {
	var m gameMap
	err := row.Scan(&m.ID, &m.Title, &m.Seed, &m.Width, &m.Height, &m.changedAt)
	m.Size = m.terrain().size()
	return m, err
}

func (m gameMap) terrain() terrain { return newTerrain(uint64(m.Seed), m.Width, m.Height) }

func loadMap(ctx context.Context, q querier, id string) (gameMap, error) {
	m, err := scanMap(q.QueryRowContext(ctx, `SELECT `+mapColumns+` FROM maps WHERE id = ?`, id))
	return m, missing(err, "map")
}

func (a *API) listMaps(w http.ResponseWriter, r *http.Request, _ identity) error {
	rows, err := a.db.reader.QueryContext(r.Context(),
		`SELECT `+mapColumns+` FROM maps ORDER BY title, id`)
	list, err := collect(rows, err, scanMap)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", publicPage)
	return answer(w, http.StatusOK, list)
}

// downloadMap sends the image, or the requested ranges of it.
func (a *API) downloadMap(w http.ResponseWriter, r *http.Request, _ identity) error {
	m, err := loadMap(r.Context(), a.db.reader, r.PathValue("id"))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Cache-Control", publicPage)
	h.Set("Content-Type", "image/x-portable-graymap")
	h.Set("Content-Disposition", fmt.Sprintf(`attachment; filename="%s.pgm"`, m.ID))
	h.Set("ETag", fmt.Sprintf(`"%x-%dx%d"`, uint64(m.Seed), m.Width, m.Height))
	http.ServeContent(w, r, "", time.Unix(m.changedAt, 0), m.terrain().reader())
	return nil
}

// changeMap gives a map another title, or redraws it from another seed.
func (a *API) changeMap(w http.ResponseWriter, r *http.Request, me identity) error {
	if !me.isDM() {
		return forbidden("only a dm draws maps")
	}
	var given struct {
		Title *string `json:"title"`
		Seed  *int64  `json:"seed"`
	}
	if err := decode(w, r, &given); err != nil {
		return err
	}
	var m gameMap
	err := a.db.write(r.Context(), func(tx *sql.Tx) (err error) {
		if m, err = loadMap(r.Context(), tx, r.PathValue("id")); err != nil {
			return err
		}
		set(&m.Title, given.Title)
		set(&m.Seed, given.Seed)
		if m.Title == "" || len(m.Title) > 100 {
			return invalid("title must have 1 to 100 bytes")
		}
		_, err = tx.ExecContext(r.Context(),
			`UPDATE maps SET title = ?, seed = ?, changed_at = ? WHERE id = ?`, m.Title, m.Seed,
			time.Now().Unix(), m.ID)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, m)
}
