package main

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// seed fills an empty database with an example: four users, whose passwords are their names and
// "-password", their characters, one campaign with two sessions, some rules and two maps. Its ids
// are short, for people to type.
func (s *store) seed(ctx context.Context, passwordCost int) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		var users int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM users`).Scan(&users); err != nil ||
			users > 0 {
			return err
		}
		for _, part := range []func(context.Context, *sql.Tx) error{
			func(ctx context.Context, tx *sql.Tx) error { return seedUsers(ctx, tx, passwordCost) },
			seedCharacters, seedCampaign, seedSpells, seedMaps,
		} {
			if err := part(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("filling the empty database: %w", err)
	}
	return nil
}

func seedUsers(ctx context.Context, tx *sql.Tx, passwordCost int) error {
	for _, u := range []user{
		{"u1", "thorin", rolePlayer, "Thorin's player", ""},
		{"u2", "lyra", rolePlayer, "Lyra's player", ""},
		{"u3", "mara", rolePlayer, "Mara's player", ""},
		{"u4", "dm", roleDM, "The dungeon master", "Rocks fall."},
	} {
		hash, err := bcrypt.GenerateFromPassword([]byte(u.Username+"-password"), passwordCost)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx,
			`INSERT INTO users (id, username, password_hash, role, display_name, bio) VALUES (?, ?, ?, ?, ?, ?)`,
			u.ID, u.Username, hash, u.Role, u.DisplayName, u.Bio)
		if err != nil {
			return err
		}
	}
	return nil
}

func seedCharacters(ctx context.Context, tx *sql.Tx) error {
	for _, c := range []character{
		{ID: "c1", UserID: "u1", Name: "Thorin", Class: "fighter", XP: 2300, HP: 42, MaxHP: 45,
			Strength: 17, Dexterity: 10, Wisdom: 12},
		{ID: "c2", UserID: "u1", Name: "Borin", Class: "cleric", XP: 300, HP: 11, MaxHP: 11,
			Strength: 14, Dexterity: 8, Wisdom: 16},
		{ID: "c3", UserID: "u2", Name: "Lyra", Class: "bard", XP: 2100, HP: 27, MaxHP: 30,
			Strength: 8, Dexterity: 16, Wisdom: 11},
		{ID: "c4", UserID: "u2", Name: "Quill", Class: "rogue", XP: 0, HP: 9, MaxHP: 9,
			Strength: 10, Dexterity: 18, Wisdom: 9},
		{ID: "c5", UserID: "u3", Name: "Mara", Class: "ranger", XP: 2600, HP: 31, MaxHP: 34,
			Strength: 12, Dexterity: 15, Wisdom: 14},
		{ID: "c6", UserID: "u3", Name: "Ash", Class: "druid", XP: 900, HP: 13, MaxHP: 16,
			Strength: 9, Dexterity: 12, Wisdom: 17},
	} {
		if err := insertCharacter(ctx, tx, c); err != nil {
			return err
		}
	}
	for _, i := range []item{
		{"i1", "c1", "axe", 1, 7}, {"i2", "c1", "torch", 5, 1}, {"i3", "c2", "mace", 1, 4},
		{"i4", "c3", "lute", 1, 2}, {"i5", "c5", "longbow", 1, 2}, {"i6", "c5", "arrow", 20, 0},
	} {
		if err := insertItem(ctx, tx, i); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx,
		`INSERT INTO notes (id, character_id, text) VALUES ('n1', 'c1', 'The ferryman lied.')`)
	return err
}

func seedCampaign(ctx context.Context, tx *sql.Tx) error {
	everybody := []string{"u1", "u2", "u3", "u4"}
	if err := insertCampaign(ctx, tx,
		campaign{"g1", "The Ember Road", "A caravan, a volcano, a debt.", "u4",
			everybody}); err != nil {
		return err
	}
	for _, s := range []session{
		{ID: "s1", CampaignID: "g1", Title: "1: The ferry", Status: "active"},
		{ID: "s2", CampaignID: "g1", Title: "2: The ash gate", Status: "planned"},
	} {
		if err := insertSession(ctx, tx, s); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx,
		`INSERT INTO session_players (session_id, character_id) VALUES ('s1', 'c1'), ('s1', 'c3'), ('s1', 'c5'), ('s2', 'c1')`)
	return err
}

func seedSpells(ctx context.Context, tx *sql.Tx) error {
	for _, s := range []spell{
		{"spark", "Spark", 0, "evocation", "A flame no larger than a candle's."},
		{"mend", "Mend", 0, "transmutation", "One broken thing is whole again."},
		{"ward", "Ward", 1, "abjuration", "The next blow falls short."},
		{"firestorm", "Firestorm", 3, "evocation", "Everything within twenty feet burns."},
		{"far-sight", "Far sight", 3, "divination", "You see a place that you know."},
	} {
		if err := insertSpell(ctx, tx, s); err != nil {
			return err
		}
	}
	return nil
}

// seedMaps draws a small map, and one of 20 MiB.
func seedMaps(ctx context.Context, tx *sql.Tx) error {
	now := time.Now().Unix()
	_, err := tx.ExecContext(ctx, `INSERT INTO maps (`+mapColumns+
		`) VALUES ('tavern', 'The tavern', 7, 256, 256, ?), ('world', 'The known world', 42, 5120, 4096, ?)`, now, now)
	return err
}
