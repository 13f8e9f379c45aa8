package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// A config is the parsed environment. README.md lists the variables.
type config struct {
	addr         string
	db           string
	jwtSecret    []byte
	accessLife   time.Duration // of an access token
	npcDelay     time.Duration
	delayMin     time.Duration // before each answer's head; a random time from delayMin to delayMax
	delayMax     time.Duration
	rateLimit    int    // requests a minute and client
	cleanupToken string // "": nobody may clean up
	origin       string // the one web origin that may call the API from a browser
	h2c          bool
	passwordCost int // bcrypt's
}

// configFrom reads the configuration and reports every fault.
func configFrom(getenv func(string) string) (config, error) {
	e := environment{getenv: getenv}
	c := config{
		addr:         e.text("GAME_ADDR", "127.0.0.1:3000"),
		db:           e.text("GAME_DB", "game.db"),
		jwtSecret:    []byte(getenv("JWT_SECRET")),
		accessLife:   e.duration("ACCESS_TOKEN_TTL", 15*time.Minute),
		npcDelay:     e.duration("NPC_DELAY", 30*time.Second),
		delayMin:     e.duration("GAME_DELAY_MIN", 0),
		delayMax:     e.duration("GAME_DELAY_MAX", 0),
		rateLimit:    e.integer("RATE_LIMIT", 6000, 1, 1_000_000),
		cleanupToken: getenv("CLEANUP_TOKEN"),
		origin:       e.text("GAME_ORIGIN", "https://game.example"),
		h2c:          e.boolean("GAME_H2C"),
		passwordCost: e.integer("PASSWORD_COST", bcrypt.DefaultCost,
			bcrypt.MinCost, bcrypt.MaxCost),
	}
	if len(c.jwtSecret) < 16 {
		e.fault("JWT_SECRET must have 16 bytes or more, and has %d", len(c.jwtSecret))
	}
	if c.delayMax == 0 {
		c.delayMax = c.delayMin
	}
	if c.delayMin > c.delayMax {
		e.fault("GAME_DELAY_MIN (%s) is longer than GAME_DELAY_MAX (%s)", c.delayMin, c.delayMax)
	}
	return c, errors.Join(e.faults...)
}

// environment reads variables and collects their faults.
type environment struct {
	getenv func(string) string
	faults []error
}

func (e *environment) fault(format string, args ...any) {
	e.faults = append(e.faults, fmt.Errorf(format, args...))
}

func (e *environment) text(name, absent string) string {
	if value := e.getenv(name); value != "" {
		return value
	}
	return absent
}

func (e *environment) duration(name string, absent time.Duration) time.Duration {
	value := e.getenv(name)
	if value == "" {
		return absent
	}
	d, err := time.ParseDuration(value)
	if err != nil || d < 0 {
		e.fault("%s=%q is no duration; write 250ms or 30s", name, value)
	}
	return d
}

func (e *environment) integer(name string, absent, least, most int) int {
	value := e.getenv(name)
	if value == "" {
		return absent
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		e.fault("%s=%q is no number from %d to %d", name, value, least, most)
	}
	return n
}

func (e *environment) boolean(name string) bool {
	value := e.getenv(name)
	if value == "" {
		return false
	}
	b, err := strconv.ParseBool(value)
	if err != nil {
		e.fault("%s=%q is neither true nor false", name, value)
	}
	return b
}
