package main

import (
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// An API is the game's HTTP API on its database.
type API struct {
	config
	db     *store
	log    *slog.Logger
	tokens tokens
	hub    hub
	limit  limiter

	closing chan struct{} // closed when feeds, sockets and generators have to end
	close   sync.Once
	sockets sync.WaitGroup
}

func newAPI(cfg config, db *store, log *slog.Logger) *API {
	return &API{
		config: cfg, db: db, log: log,
		tokens:  tokens{secret: cfg.jwtSecret, life: cfg.accessLife},
		limit:   limiter{perMinute: cfg.rateLimit, now: time.Now},
		closing: make(chan struct{}),
	}
}

// Close ends the feeds, sockets and generators under way.
func (a *API) Close() { a.close.Do(func() { close(a.closing) }) }

// A handler answers a request of me, or returns an error for fail. On open routes me may be the
// zero identity.
type handler func(w http.ResponseWriter, r *http.Request, me identity) error

// Handler returns all routes behind the common middleware.
func (a *API) Handler() http.Handler {
	var h http.Handler = a.routes()
	h = csrfCookie(h)
	h = a.cors(h)
	h = a.rateLimited(h)
	h = requestID(h)
	return a.accessLog(h)
}

func (a *API) routes() http.Handler {
	mux := http.NewServeMux()
	open := func(pattern string, h handler) { mux.Handle(pattern, a.open(h)) }
	login := func(pattern string, h handler) { mux.Handle(pattern, a.authenticated(h)) }

	open("GET /healthz", a.health)
	open("POST /internal/cleanup", a.cleanup)
	open("GET /play", a.play)
	open("/api/v1/tavern/teapot", a.teapot)

	open("POST /api/v1/auth/login", a.login)
	open("POST /api/v1/auth/refresh", a.refresh)
	login("POST /api/v1/auth/logout", a.logout)

	login("GET /api/v1/users/me", a.getMe)
	login("PUT /api/v1/users/me", a.putMe)
	login("GET /api/v1/users/{id}", a.getUser)
	login("GET /api/v1/users/{id}/characters", a.listUserCharacters)

	login("GET /api/v1/characters", a.listCharacters)
	login("POST /api/v1/characters", a.createCharacter)
	login("GET /api/v1/characters/{id}", a.getCharacter)
	login("PUT /api/v1/characters/{id}", a.changeCharacter)
	login("PATCH /api/v1/characters/{id}", a.changeCharacter)
	login("DELETE /api/v1/characters/{id}", a.deleteCharacter)
	login("GET /api/v1/characters/{id}/sheet", a.getSheet)
	login("GET /api/v1/characters/{id}/inventory", a.listItems)
	login("POST /api/v1/characters/{id}/inventory", a.addItem)
	login("PATCH /api/v1/characters/{id}/inventory/{item}", a.changeItem)
	login("DELETE /api/v1/characters/{id}/inventory/{item}", a.dropItem)
	login("GET /api/v1/characters/{id}/notes", a.listNotes)
	login("POST /api/v1/characters/{id}/notes", a.addNote)
	login("PUT /api/v1/characters/{id}/notes/{note}", a.changeNote)
	login("DELETE /api/v1/characters/{id}/notes/{note}", a.deleteNote)
	login("POST /api/v1/trade", a.trade)
	login("GET /api/v1/exports/characters", a.exportCharacters)

	login("GET /api/v1/campaigns", a.listCampaigns)
	login("POST /api/v1/campaigns", a.createCampaign)
	login("GET /api/v1/campaigns/{id}", a.getCampaign)
	login("PUT /api/v1/campaigns/{id}", a.changeCampaign)
	login("POST /api/v1/campaigns/{id}/members", a.addMember)
	login("DELETE /api/v1/campaigns/{id}/members/{user}", a.removeMember)
	login("POST /api/v1/campaigns/{id}/sessions", a.createSession)
	login("POST /api/v1/campaigns/{id}/award", a.award)

	login("GET /api/v1/sessions", a.listSessions)
	login("GET /api/v1/sessions/{id}", a.getSession)
	login("PUT /api/v1/sessions/{id}", a.changeSession)
	login("DELETE /api/v1/sessions/{id}", a.deleteSession)
	login("GET /api/v1/sessions/{id}/players", a.listPlayers)
	login("POST /api/v1/sessions/{id}/players", a.addPlayer)
	login("DELETE /api/v1/sessions/{id}/players/{character}", a.removePlayer)
	login("GET /api/v1/sessions/{id}/state", a.getState)
	login("PUT /api/v1/sessions/{id}/state", a.changeState)
	login("GET /api/v1/sessions/{id}/events", a.listEvents)
	login("GET /api/v1/sessions/{id}/feed", a.feed)
	login("GET /api/v1/ws", a.socket)

	login("POST /api/v1/npc/generate", a.generateNPC)
	login("GET /api/v1/npcs", a.listNPCs)
	login("GET /api/v1/npcs/{id}", a.getNPC)

	open("GET /api/v1/rules/spells", a.listSpells)
	open("GET /api/v1/rules/spells/{id}", a.getSpell)
	login("POST /api/v1/rules/spells", a.createSpell)
	login("PUT /api/v1/rules/spells/{id}", a.changeSpell)
	login("DELETE /api/v1/rules/spells/{id}", a.deleteSpell)

	open("GET /api/v1/maps", a.listMaps)
	open("GET /api/v1/maps/{id}/image", a.downloadMap)
	login("PUT /api/v1/maps/{id}", a.changeMap)
	return inEnvelope(mux)
}

func (a *API) open(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r, identity{}); err != nil {
			fail(w, r, err)
		}
	})
}

func (a *API) health(w http.ResponseWriter, r *http.Request, _ identity) error {
	if err := a.db.reader.PingContext(r.Context()); err != nil {
		return err
	}
	return answer(w, http.StatusOK, map[string]string{"status": "ok"})
}

// inEnvelope answers unmatched requests with an envelope, as the routes do.
func inEnvelope(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern == "" {
			w = &unmatched{ResponseWriter: w, r: r}
		}
		mux.ServeHTTP(w, r)
	})
}

// unmatched replaces the plain text of ServeMux's own 404 and 405.
type unmatched struct {
	http.ResponseWriter
	r        *http.Request
	replaced bool
}

func (u *unmatched) WriteHeader(status int) {
	switch status {
	case http.StatusNotFound:
		u.replaced = true
		fail(u.ResponseWriter, u.r, notFound("route"))
	case http.StatusMethodNotAllowed:
		u.replaced = true
		fail(u.ResponseWriter, u.r,
			&failure{status, "method_not_allowed", "this route takes " + u.Header().Get("Allow")})
	default:
		u.ResponseWriter.WriteHeader(status)
	}
}

func (u *unmatched) Write(b []byte) (int, error) {
	if u.replaced {
		return len(b), nil
	}
	return u.ResponseWriter.Write(b)
}
