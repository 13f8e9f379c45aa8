CREATE TABLE IF NOT EXISTS users (
  id            TEXT PRIMARY KEY,
  username      TEXT NOT NULL UNIQUE,
  password_hash BLOB NOT NULL,
  role          TEXT NOT NULL CHECK (role IN ('player', 'dm')),
  display_name  TEXT NOT NULL,
  bio           TEXT NOT NULL DEFAULT ''
) STRICT;

-- A refresh token is kept as its SHA-256; whoever reads the database cannot use it.
CREATE TABLE IF NOT EXISTS refresh_tokens (
  hash       BLOB PRIMARY KEY,
  user_id    TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  expires_at INTEGER NOT NULL -- Unix seconds
) STRICT;

-- Access tokens that were logged out before their time.
CREATE TABLE IF NOT EXISTS revoked_tokens (
  jti        TEXT PRIMARY KEY,
  expires_at INTEGER NOT NULL -- Unix seconds
) STRICT;

CREATE TABLE IF NOT EXISTS characters (
  id        TEXT PRIMARY KEY,
  user_id   TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  name      TEXT NOT NULL,
  class     TEXT NOT NULL,
  xp        INTEGER NOT NULL DEFAULT 0,
  hp        INTEGER NOT NULL,
  max_hp    INTEGER NOT NULL,
  strength  INTEGER NOT NULL,
  dexterity INTEGER NOT NULL,
  wisdom    INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS characters_by_user ON characters(user_id);

CREATE TABLE IF NOT EXISTS items (
  id           TEXT PRIMARY KEY,
  character_id TEXT NOT NULL REFERENCES characters(id) ON DELETE CASCADE,
  name         TEXT NOT NULL,
  quantity     INTEGER NOT NULL,
  weight       INTEGER NOT NULL -- pounds, of one
) STRICT;
CREATE INDEX IF NOT EXISTS items_by_character ON items(character_id);

CREATE TABLE IF NOT EXISTS notes (
  id           TEXT PRIMARY KEY,
  character_id TEXT NOT NULL REFERENCES characters(id) ON DELETE CASCADE,
  text         TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS notes_by_character ON notes(character_id);

CREATE TABLE IF NOT EXISTS campaigns (
  id          TEXT PRIMARY KEY,
  name        TEXT NOT NULL,
  description TEXT NOT NULL DEFAULT '',
  dm_id       TEXT NOT NULL REFERENCES users(id)
) STRICT;

-- All who take part in a campaign, its dm included.
CREATE TABLE IF NOT EXISTS members (
  campaign_id TEXT NOT NULL REFERENCES campaigns(id) ON DELETE CASCADE,
  user_id     TEXT NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  PRIMARY KEY (campaign_id, user_id)
) STRICT;

CREATE TABLE IF NOT EXISTS sessions (
  id          TEXT PRIMARY KEY,
  campaign_id TEXT NOT NULL REFERENCES campaigns(id) ON DELETE CASCADE,
  title       TEXT NOT NULL,
  status      TEXT NOT NULL CHECK (status IN ('planned', 'active', 'done')),
  scene       TEXT NOT NULL DEFAULT '',
  round       INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE IF NOT EXISTS session_players (
  session_id   TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
  character_id TEXT NOT NULL REFERENCES characters(id) ON DELETE CASCADE,
  PRIMARY KEY (session_id, character_id)
) STRICT;

-- What happened in a session, in order: the feed and the sockets follow it.
CREATE TABLE IF NOT EXISTS events (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
  user_id    TEXT NOT NULL,
  type       TEXT NOT NULL,
  data       TEXT NOT NULL, -- JSON
  at         TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS events_by_session ON events(session_id, id);

CREATE TABLE IF NOT EXISTS npcs (
  id              TEXT PRIMARY KEY,
  name            TEXT NOT NULL,
  trade           TEXT NOT NULL,
  secret          TEXT NOT NULL, -- for the dm's eyes
  prompt          TEXT NOT NULL,
  created_by      TEXT NOT NULL REFERENCES users(id),
  idempotency_key TEXT, -- as received; NULL if there was none
  created_at      TEXT NOT NULL,
  UNIQUE (created_by, idempotency_key)
) STRICT;

CREATE TABLE IF NOT EXISTS spells (
  id     TEXT PRIMARY KEY,
  name   TEXT NOT NULL,
  level  INTEGER NOT NULL,
  school TEXT NOT NULL,
  text   TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS maps (
  id         TEXT PRIMARY KEY,
  title      TEXT NOT NULL,
  seed       INTEGER NOT NULL, -- what the terrain is drawn from
  width      INTEGER NOT NULL,
  height     INTEGER NOT NULL,
  changed_at INTEGER NOT NULL  -- Unix seconds
) STRICT;
