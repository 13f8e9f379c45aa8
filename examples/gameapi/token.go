package main

import (
	"errors"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	issuer   = "game"
	audience = "web"
)

// Roles.
const (
	rolePlayer = "player"
	roleDM     = "dm"
)

// claims are the content of an access token.
type claims struct {
	UserID   string `json:"user_id"`
	Username string `json:"username"`
	Role     string `json:"role"`
	jwt.RegisteredClaims
}

// tokens signs and verifies access tokens: JWTs with HS256.
type tokens struct {
	secret []byte
	life   time.Duration
}

// sign makes a token for u.
func (t tokens) sign(u user, now time.Time) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		UserID: u.ID, Username: u.Username, Role: u.Role,
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: u.ID, Audience: jwt.ClaimStrings{audience}, ID: newID(),
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(t.life)),
		},
	}).SignedString(t.secret)
}

// verify checks signature, times, issuer and audience.
func (t tokens) verify(token string) (claims, error) {
	var c claims
	_, err := jwt.ParseWithClaims(token, &c, func(*jwt.Token) (any, error) { return t.secret, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
		jwt.WithExpirationRequired())
	if err == nil && (c.UserID == "" || c.ID == "") {
		err = errors.New("user_id or jti is missing")
	}
	return c, err
}
