package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"slices"
)

// A campaign is seen by its members, of whom its dm is one, and changed by its dm.
type campaign struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	DMID        string   `json:"dm_id"`
	MemberIDs   []string `json:"member_ids"`
}

// campaignColumns gathers the members into a JSON list, in the order of their ids.
const campaignColumns = `c.id, c.name, c.description, c.dm_id,
	(SELECT json_group_array(user_id ORDER BY user_id) FROM members WHERE campaign_id = c.id)`

func scanCampaign(row scanner) (campaign, error) {
	var c campaign
	var members []byte
	if err := row.Scan(&c.ID, &c.Name, &c.Description, &c.DMID, &members); err != nil {
		return c, err
	}
	return c, json.Unmarshal(members, &c.MemberIDs)
}

// loadCampaign returns the campaign if I am a member.
func loadCampaign(ctx context.Context, q querier, me identity, id string) (campaign, error) {
	c, err := scanCampaign(q.QueryRowContext(ctx,
		`SELECT `+campaignColumns+` FROM campaigns c WHERE c.id = ?`, id))
	if err == nil && !slices.Contains(c.MemberIDs, me.userID) {
		err = sql.ErrNoRows
	}
	return c, missing(err, "campaign")
}

// leadCampaign returns the campaign if I am its dm.
func leadCampaign(ctx context.Context, q querier, me identity, id string) (campaign, error) {
	c, err := loadCampaign(ctx, q, me, id)
	if err == nil && c.DMID != me.userID {
		err = forbidden("only the campaign's dm may do that")
	}
	return c, err
}

func (a *API) listCampaigns(w http.ResponseWriter, r *http.Request, me identity) error {
	p, err := pageOf(r)
	if err != nil {
		return err
	}
	var total int
	if err := a.db.reader.QueryRowContext(r.Context(),
		`SELECT count(*) FROM members WHERE user_id = ?`, me.userID).Scan(&total); err != nil {
		return err
	}
	rows, err := a.db.reader.QueryContext(r.Context(), `SELECT `+campaignColumns+`
		FROM campaigns c JOIN members m ON m.campaign_id = c.id WHERE m.user_id = ? ORDER BY c.name, c.id LIMIT ? OFFSET ?`,
		me.userID, p.limit, p.offset())
	list, err := collect(rows, err, scanCampaign)
	if err != nil {
		return err
	}
	return answerPage(w, p, total, list)
}

func (a *API) getCampaign(w http.ResponseWriter, r *http.Request, me identity) error {
	c, err := loadCampaign(r.Context(), a.db.reader, me, r.PathValue("id"))
	if err != nil {
		return err
	}
	return answerTagged(w, r, c)
}

// campaignChange has the fields that a dm may set; absent fields keep their value.
type campaignChange struct {
	Name        *string `json:"name"`
	Description *string `json:"description"`
}

func (change campaignChange) apply(c *campaign) error {
	set(&c.Name, change.Name)
	set(&c.Description, change.Description)
	if c.Name == "" || len(c.Name) > 100 || len(c.Description) > 10_000 {
		return invalid("name must have 1 to 100 bytes, description up to 10000")
	}
	return nil
}

func (a *API) createCampaign(w http.ResponseWriter, r *http.Request, me identity) error {
	if !me.isDM() {
		return forbidden("only a dm begins campaigns")
	}
	var change campaignChange
	if err := decode(w, r, &change); err != nil {
		return err
	}
	c := campaign{ID: newID(), DMID: me.userID, MemberIDs: []string{me.userID}}
	if err := change.apply(&c); err != nil {
		return err
	}
	err := a.db.write(r.Context(),
		func(tx *sql.Tx) error { return insertCampaign(r.Context(), tx, c) })
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/api/v1/campaigns/"+c.ID)
	return answer(w, http.StatusCreated, c)
}

func insertCampaign(ctx context.Context, tx *sql.Tx, c campaign) error {
	if _, err := tx.ExecContext(ctx,
		`INSERT INTO campaigns (id, name, description, dm_id) VALUES (?, ?, ?, ?)`, c.ID, c.Name,
		c.Description, c.DMID); err != nil {
		return err
	}
	for _, id := range c.MemberIDs {
		if _, err := tx.ExecContext(ctx, `INSERT INTO members (campaign_id, user_id) VALUES (?, ?)`,
			c.ID, id); err != nil {
			return err
		}
	}
	return nil
}

func (a *API) changeCampaign(w http.ResponseWriter, r *http.Request, me identity) error {
	var change campaignChange
	if err := decode(w, r, &change); err != nil {
		return err
	}
	var c campaign
	err := a.db.write(r.Context(), func(tx *sql.Tx) (err error) {
		if c, err = leadCampaign(r.Context(), tx, me, r.PathValue("id")); err != nil {
			return err
		}
		if err := change.apply(&c); err != nil {
			return err
		}
		_, err = tx.ExecContext(r.Context(),
			`UPDATE campaigns SET name = ?, description = ? WHERE id = ?`, c.Name,
			c.Description, c.ID)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, http.StatusOK, c)
}
