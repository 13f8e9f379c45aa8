package main

import "net/http"

// A sheet is derived from a character and its inventory.
type sheet struct {
	CharacterID string         `json:"character_id"`
	Name        string         `json:"name"`
	Class       string         `json:"class"`
	Level       int            `json:"level"`
	HP          int            `json:"hp"`
	MaxHP       int            `json:"max_hp"`
	Modifiers   map[string]int `json:"modifiers"`
	Proficiency int            `json:"proficiency"`
	ArmorClass  int            `json:"armor_class"`
	Carried     int            `json:"carried"`  // pounds
	Capacity    int            `json:"capacity"` // pounds
	Encumbered  bool           `json:"encumbered"`
}

func sheetOf(c character, items []item) sheet {
	s := sheet{
		CharacterID: c.ID, Name: c.Name, Class: c.Class, Level: c.Level, HP: c.HP, MaxHP: c.MaxHP,
		Modifiers: map[string]int{
			"strength": modifier(c.Strength), "dexterity": modifier(c.Dexterity),
			"wisdom": modifier(c.Wisdom),
		},
		Proficiency: 2 + (c.Level-1)/4,
		ArmorClass:  10 + modifier(c.Dexterity),
		Capacity:    15 * c.Strength,
	}
	for _, i := range items {
		s.Carried += i.Quantity * i.Weight
	}
	s.Encumbered = s.Carried > s.Capacity
	return s
}

// modifier is half of what an ability has above ten, rounded down.
func modifier(ability int) int { return ability/2 - 5 }

func (a *API) getSheet(w http.ResponseWriter, r *http.Request, me identity) error {
	c, err := loadCharacter(r.Context(), a.db.reader, me, r.PathValue("id"))
	if err != nil {
		return err
	}
	items, err := itemsOf(r.Context(), a.db.reader, c.ID)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", privatePage)
	return answerTagged(w, r, sheetOf(c, items))
}
