package main

import (
	"database/sql"
	"math/rand/v2"
	"net/http"
	"time"
)

// An npc is a generated character. All users see it, but only a dm sees its secret.
type npc struct {
	ID             string  `json:"id"`
	Name           string  `json:"name"`
	Trade          string  `json:"trade"`
	Secret         string  `json:"secret,omitempty"`
	Prompt         string  `json:"prompt"`
	CreatedBy      string  `json:"created_by"`
	IdempotencyKey *string `json:"idempotency_key"` // as received
	CreatedAt      string  `json:"created_at"`
}

const npcColumns = `id, name, trade, secret, prompt, created_by, idempotency_key, created_at`

func scanNPC(row scanner) (npc, error) {
	var n npc
	err := row.Scan(&n.ID, &n.Name, &n.Trade, &n.Secret, &n.Prompt, &n.CreatedBy,
		&n.IdempotencyKey, &n.CreatedAt)
	return n, err
}

// seenBy is the npc without the fields that me may not see.
func (n npc) seenBy(me identity) npc {
	if !me.isDM() {
		n.Secret = ""
	}
	return n
}

// generateNPC takes its time, and writes the npc at the end: a client that leaves before gets none.
// For an Idempotency-Key that the same user has used before, it answers with the npc of that
// request.
func (a *API) generateNPC(w http.ResponseWriter, r *http.Request, me identity) error {
	var given struct{ Prompt, Context string }
	if err := decode(w, r, &given); err != nil {
		return err
	}
	n := inventNPC(given.Prompt, me)
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		n.IdempotencyKey = &key
	}
	if made, found, err := a.madeBefore(r, n); err != nil {
		return err
	} else if found {
		return answer(w, http.StatusOK, made.seenBy(me))
	}
	if err := a.think(r); err != nil {
		return err
	}
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		// Of two concurrent requests with one key, the second finds the first one's row here.
		_, err := tx.ExecContext(r.Context(),
			`INSERT INTO npcs (`+npcColumns+
				`) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (created_by, idempotency_key) DO NOTHING`,
			n.ID, n.Name, n.Trade, n.Secret, n.Prompt, n.CreatedBy, n.IdempotencyKey, n.CreatedAt)
		return err
	})
	if err != nil {
		return err
	}
	status := http.StatusCreated
	if made, found, err := a.madeBefore(r, n); err != nil {
		return err
	} else if found && made.ID != n.ID {
		n, status = made, http.StatusOK
	}
	w.Header().Set("Location", "/api/v1/npcs/"+n.ID)
	return answer(w, status, n.seenBy(me))
}

// think waits for the configured time of generation.
func (a *API) think(r *http.Request) error {
	timer := time.NewTimer(a.npcDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	case <-a.closing:
		return &failure{http.StatusServiceUnavailable, "closing", "the API is going away"}
	}
}

// madeBefore looks for the npc of the user's request with the same key.
func (a *API) madeBefore(r *http.Request, n npc) (made npc, found bool, err error) {
	if n.IdempotencyKey == nil {
		return npc{}, false, nil
	}
	made, err = scanNPC(a.db.reader.QueryRowContext(r.Context(),
		`SELECT `+npcColumns+` FROM npcs WHERE created_by = ? AND idempotency_key = ?`,
		n.CreatedBy, *n.IdempotencyKey))
	if err == sql.ErrNoRows {
		return npc{}, false, nil
	}
	return made, err == nil, err
}

// inventNPC is the generator.
func inventNPC(prompt string, me identity) npc {
	pick := func(from ...string) string { return from[rand.IntN(len(from))] }
	return npc{
		ID: newID(),
		Name: pick("Brannoc", "Isolde", "Okku", "Tamsin", "Varga") + " " +
			pick("Ashdown", "of the Ford", "Quill", "Redhand", "Thistle"),
		Trade: pick("ferryman", "smith", "herbalist", "tax collector", "bard"),
		Secret: pick("owes a dragon money", "is the duke's heir", "cannot read",
			"buried the treasure"),
		Prompt:    prompt,
		CreatedBy: me.userID,
		CreatedAt: time.Now().UTC().Format(time.RFC3339Nano),
	}
}

func (a *API) listNPCs(w http.ResponseWriter, r *http.Request, me identity) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	var total int
	if err := a.db.reader.QueryRowContext(r.Context(),
		`SELECT count(*) FROM npcs`).Scan(&total); err != nil {
		return err
	}
	rows, err := a.db.reader.QueryContext(r.Context(),
		`SELECT `+npcColumns+` FROM npcs ORDER BY rowid LIMIT ? OFFSET ?`, p.limit, p.offset())
	list, err := collect(rows, err, scanNPC)
	if err != nil {
		return err
	}
	for i := range list {
		list[i] = list[i].seenBy(me)
	}
	return answerPage(w, p, total, list)
}

func (a *API) getNPC(w http.ResponseWriter, r *http.Request, me identity) error {
	n, err := scanNPC(a.db.reader.QueryRowContext(r.Context(),
		`SELECT `+npcColumns+` FROM npcs WHERE id = ?`, r.PathValue("id")))
	if err != nil {
		return missing(err, "npc")
	}
	return answerTagged(w, r, n.seenBy(me))
}
