package main

import (
	"database/sql"
	"net/http"
)

// membership is the response to a change of members.
type membership struct {
	CampaignID string   `json:"campaign_id"`
	UserID     string   `json:"user_id"`     // who joined or left
	MemberIDs  []string `json:"member_ids"`  // the members now
	SessionIDs []string `json:"session_ids"` // all sessions of the campaign
}

func (a *API) addMember(w http.ResponseWriter, r *http.Request, me identity) error {
	var given struct {
		UserID string `json:"user_id"`
	}
	if err := decode(w, r, &given); err != nil {
		return err
	}
	return a.changeMembers(w, r, me, given.UserID, http.StatusCreated,
		func(tx *sql.Tx, c campaign) error {
			if _, err := loadUser(r.Context(), tx, given.UserID); err != nil {
				return err
			}
			_, err := tx.ExecContext(r.Context(),
				`INSERT OR IGNORE INTO members (campaign_id, user_id) VALUES (?, ?)`,
				c.ID, given.UserID)
			return err
		})
}

// removeMember also takes the member's characters out of the campaign's sessions.
func (a *API) removeMember(w http.ResponseWriter, r *http.Request, me identity) error {
	gone := r.PathValue("user")
	return a.changeMembers(w, r, me, gone, http.StatusOK, func(tx *sql.Tx, c campaign) error {
		if gone == c.DMID {
			return invalid("the dm cannot leave the campaign")
		}
		_, err := column(tx.QueryRowContext(r.Context(),
			`DELETE FROM members WHERE campaign_id = ? AND user_id = ? RETURNING user_id`, c.ID,
			gone))
		if err != nil {
			return missing(err, "member")
		}
		_, err = tx.ExecContext(r.Context(), `DELETE FROM session_players
			WHERE session_id IN (SELECT id FROM sessions WHERE campaign_id = ?) AND character_id IN (SELECT id FROM characters WHERE user_id = ?)`, c.ID, gone)
		return err
	})
}

func (a *API) changeMembers(w http.ResponseWriter, r *http.Request, me identity, who string,
	status int, change func(*sql.Tx, campaign) error) error {
	result := membership{UserID: who}
	err := a.db.write(r.Context(), func(tx *sql.Tx) error {
		c, err := leadCampaign(r.Context(), tx, me, r.PathValue("id"))
		if err != nil {
			return err
		}
		if err := change(tx, c); err != nil {
			return err
		}
		if c, err = loadCampaign(r.Context(), tx, me, c.ID); err != nil {
			return err
		}
		result.CampaignID, result.MemberIDs = c.ID, c.MemberIDs
		rows, err := tx.QueryContext(r.Context(),
			`SELECT id FROM sessions WHERE campaign_id = ? ORDER BY id`, c.ID)
		result.SessionIDs, err = collect(rows, err, column)
		return err
	})
	if err != nil {
		return err
	}
	return answer(w, status, result)
}
