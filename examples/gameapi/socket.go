package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/coder/websocket"
)

const (
	maxMessage   = 4 << 10         // bytes of one message from a client
	writeTimeout = 5 * time.Second // for one message to a client
)

// socket is the table's WebSocket. It sends all events of the session that the query names, and
// takes two messages:
//
//	{"type": "roll", "dice": "2d6+3"}
//	{"type": "say", "text": "I open the door."}
//
// Both are written to the database, and come back as events to everyone at the table.
func (a *API) socket(w http.ResponseWriter, r *http.Request, me identity) error {
	s, err := loadSession(r.Context(), a.db.reader, me, r.URL.Query().Get("session"))
	if err != nil {
		return err
	}
	after, err := a.lastEvent(r.Context(), s.ID)
	if err != nil {
		return err
	}
	a.sockets.Add(1)
	defer a.sockets.Done()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: a.originHosts()})
	if err != nil {
		return nil // Accept has answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxMessage)

	// A hijacked connection outlives the request's context. Here the end of the reader ends it.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	t := &table{api: a, conn: conn, me: me, sessionID: s.ID}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer cancel()
		t.listen(ctx)
	}()
	err = a.follow(ctx, me, s.ID, after, t)
	closeSocket(conn, err)
	cancel()
	<-read
	return nil
}

// closeSocket sends the reason of the end.
func closeSocket(conn *websocket.Conn, err error) {
	var f *failure
	switch {
	case err == nil:
		_ = conn.Close(websocket.StatusGoingAway, "the API is going away")
	case errors.Is(err, context.DeadlineExceeded):
		_ = conn.Close(websocket.StatusPolicyViolation, "the access token has expired")
	case errors.As(err, &f):
		_ = conn.Close(websocket.StatusPolicyViolation, f.Message)
	}
}

// originHosts are the hosts whose pages may open a socket, beside the API's own.
func (a *API) originHosts() []string {
	u, err := url.Parse(a.origin)
	if err != nil {
		return nil
	}
	return []string{u.Host}
}

// table is one connected client. It is a follower, and listens at the same time.
type table struct {
	api       *API
	conn      *websocket.Conn
	me        identity
	sessionID string
}

func (t *table) event(e event) error { return t.send(e) }

func (t *table) idle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return t.conn.Ping(ctx)
}

func (t *table) send(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	return t.conn.Write(ctx, websocket.MessageText, data)
}

// listen takes messages until the connection ends.
func (t *table) listen(ctx context.Context) {
	for {
		_, data, err := t.conn.Read(ctx)
		if err != nil {
			return
		}
		if err := t.take(ctx, data); err != nil {
			var f *failure
			if !errors.As(err, &f) {
				t.api.log.Error("socket message failed", "error", err)
				f = &failure{Code: "internal", Message: "something went wrong"}
			}
			if t.send(map[string]string{"type": "error", "code": f.Code, "message": f.Message}) !=
				nil {
				return
			}
		}
	}
}

// take carries out one message.
func (t *table) take(ctx context.Context, data []byte) error {
	var message struct{ Type, Dice, Text string }
	if err := json.Unmarshal(data, &message); err != nil {
		return invalid("a message is a JSON object")
	}
	switch message.Type {
	case "roll":
		d, err := parseDice(message.Dice)
		if err != nil {
			return err
		}
		shown, total := d.rollNow()
		return t.record(ctx, "roll",
			map[string]any{"dice": message.Dice, "shown": shown, "total": total})
	case "say":
		if message.Text == "" {
			return invalid("there is nothing to say")
		}
		return t.record(ctx, "say", map[string]any{"text": message.Text})
	}
	return invalid("a message's type is roll or say")
}

func (t *table) record(ctx context.Context, kind string, data any) error {
	err := t.api.db.write(ctx, func(tx *sql.Tx) error {
		if _, err := loadSession(ctx, tx, t.me, t.sessionID); err != nil {
			return err
		}
		return record(ctx, tx, t.sessionID, t.me, kind, data)
	})
	if err == nil {
		t.api.hub.wake(t.sessionID)
	}
	return err
}
