// Package demo is the content of `sidecar demo`: a small game API, its policies, and a tour of curl
// lines. It does not import the parts of the sidecar.
package demo

import (
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Policies is the policies file for the API.
//
//go:embed policies.yaml
var Policies []byte

// An API is an in-memory game API with a few slow routes. It is safe for concurrent use.
type API struct {
	// ReadDelay delays each read, GenerateDelay each generated NPC.
	ReadDelay, GenerateDelay time.Duration

	mu         sync.Mutex
	characters map[string]*character
	npcs       []npc
}

type character struct {
	ID     string `json:"id"`
	UserID string `json:"user_id"`
	Name   string `json:"name"`
	HP     int    `json:"hp"`
}

type npc struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// users maps the demo's bearer tokens to players.
var users = map[string]string{"demo-thorin": "thorin", "demo-lyra": "lyra"}

// NewAPI returns an API with the characters of two players.
func NewAPI() *API {
	return &API{
		ReadDelay:     300 * time.Millisecond,
		GenerateDelay: 5 * time.Second,
		characters: map[string]*character{
			"1": {ID: "1", UserID: "thorin", Name: "Thorin", HP: 42},
			"2": {ID: "2", UserID: "lyra", Name: "Lyra", HP: 27},
		},
	}
}

func (a *API) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/characters", a.authenticated(a.list))
	mux.HandleFunc("GET /api/v1/characters/{id}", a.authenticated(a.get))
	mux.HandleFunc("PUT /api/v1/characters/{id}", a.authenticated(a.put))
	mux.HandleFunc("GET /api/v1/npcs", a.authenticated(a.listNPCs))
	mux.HandleFunc("POST /api/v1/npc/generate", a.authenticated(a.generate))
	return mux
}

type userHandler func(w http.ResponseWriter, r *http.Request, user string)

func (a *API) authenticated(next userHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		user, ok := users[token]
		if !ok {
			answer(w, http.StatusUnauthorized,
				map[string]any{"success": false,
					"error": "say who you are: Authorization: Bearer demo-thorin"})
			return
		}
		next(w, r, user)
	}
}

func (a *API) list(w http.ResponseWriter, r *http.Request, user string) {
	if !pause(r, a.ReadDelay) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	mine := []character{}
	for _, c := range a.characters {
		if c.UserID == user {
			mine = append(mine, *c)
		}
	}
	success(w, http.StatusOK, mine)
}

func (a *API) get(w http.ResponseWriter, r *http.Request, user string) {
	if !pause(r, a.ReadDelay) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.characters[r.PathValue("id")]
	if !ok || c.UserID != user {
		answer(w, http.StatusNotFound, map[string]any{"success": false,
			"error": "no such character of yours"})
		return
	}
	success(w, http.StatusOK, c)
}

func (a *API) put(w http.ResponseWriter, r *http.Request, user string) {
	var change struct {
		Name *string `json:"name"`
		HP   *int    `json:"hp"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&change); err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"success": false, "error": err.Error()})
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	c, ok := a.characters[r.PathValue("id")]
	if !ok || c.UserID != user {
		answer(w, http.StatusNotFound, map[string]any{"success": false,
			"error": "no such character of yours"})
		return
	}
	if change.Name != nil {
		c.Name = *change.Name
	}
	if change.HP != nil {
		c.HP = *change.HP
	}
	success(w, http.StatusOK, c)
}

func (a *API) listNPCs(w http.ResponseWriter, r *http.Request, _ string) {
	if !pause(r, a.ReadDelay) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	success(w, http.StatusOK, append([]npc{}, a.npcs...))
}

// maxNPCs bounds the stored NPCs.
const maxNPCs = 1000

func (a *API) generate(w http.ResponseWriter, r *http.Request, _ string) {
	if !pause(r, a.GenerateDelay) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	made := npc{ID: rand.Text(), Name: fmt.Sprintf("Grum the %d.", len(a.npcs)+1)}
	if len(a.npcs) < maxNPCs {
		a.npcs = append(a.npcs, made)
	}
	success(w, http.StatusCreated, made)
}

// pause waits d. It reports false if the client has left meanwhile.
func pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

func success(w http.ResponseWriter, status int, data any) {
	answer(w, status, map[string]any{"success": true, "data": data})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
