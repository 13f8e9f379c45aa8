package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// exportCharacters streams my characters, a JSON value a line. The number of lines and their digest
// (RFC 9530) are known only at the end, and are sent as trailers.
func (a *API) exportCharacters(w http.ResponseWriter, r *http.Request, me identity) error {
	rows, err := a.db.reader.QueryContext(r.Context(),
		`SELECT `+characterColumns+` FROM characters WHERE user_id = ? ORDER BY name, id`,
		me.userID)
	mine, err := collect(rows, err, scanCharacter)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	h.Set("Cache-Control", "no-store")
	h.Set("Trailer", "Content-Digest, X-Record-Count")
	w.WriteHeader(http.StatusOK)
	sum := sha256.New()
	lines := json.NewEncoder(io.MultiWriter(w, sum))
	control := http.NewResponseController(w)
	for _, c := range mine {
		items, err := itemsOf(r.Context(), a.db.reader, c.ID)
		if err != nil {
			// the head is out: only a cut body can show that it is incomplete
			panic(http.ErrAbortHandler)
		}
		if lines.Encode(map[string]any{"character": c, "inventory": items}) != nil ||
			control.Flush() != nil {
			return nil // the client has left
		}
	}
	h.Set("Content-Digest", "sha-256=:"+base64.StdEncoding.EncodeToString(sum.Sum(nil))+":")
	h.Set("X-Record-Count", strconv.Itoa(len(mine)))
	return nil
}
