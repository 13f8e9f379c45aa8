package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// sit opens a user's WebSocket in a session.
func (g *game) sit(user, session string,
	fields ...string) (*websocket.Conn, *http.Response, error) {
	header := http.Header{"Authorization": {"Bearer " + g.login(user).Access}}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		header.Set(name, value)
	}
	conn, resp, err := websocket.Dial(g.t.Context(), g.url+"/api/v1/ws?session="+session,
		&websocket.DialOptions{HTTPHeader: header})
	if err == nil {
		g.t.Cleanup(func() { conn.CloseNow() })
	}
	return conn, resp, err
}

func (g *game) mustSit(user, session string) *websocket.Conn {
	g.t.Helper()
	conn, _, err := g.sit(user, session)
	if err != nil {
		g.t.Fatal(err)
	}
	return conn
}

// read waits for the next message, or the socket's end.
func read(t *testing.T, conn *websocket.Conn) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, data, err := conn.Read(ctx)
	if ctx.Err() != nil {
		t.Fatal("nothing came")
	}
	return data, err
}

// hear returns the next message.
func hear[T any](t *testing.T, conn *websocket.Conn) T {
	t.Helper()
	data, err := read(t, conn)
	if err != nil {
		t.Fatal(err)
	}
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func tell(t *testing.T, conn *websocket.Conn, message string) {
	t.Helper()
	if err := conn.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsSaidOverTheSocketIsHeardByAllAndWrittenDown(t *testing.T) {
	g := newGame(t)
	thorin, lyra := g.mustSit("thorin", "s1"), g.mustSit("lyra", "s1")
	tell(t, thorin, `{"type":"roll","dice":"2d6+3"}`)
	mine, hers := hear[event](t, thorin), hear[event](t, lyra)
	if mine.Type != "roll" || mine.UserID != "u1" || mine.ID != hers.ID ||
		string(mine.Data) != string(hers.Data) {
		t.Errorf("%+v\n%+v", mine, hers)
	}
	var rolled struct {
		Shown []int
		Total int
	}
	if err := json.Unmarshal(mine.Data, &rolled); err != nil || len(rolled.Shown) != 2 ||
		rolled.Total != rolled.Shown[0]+rolled.Shown[1]+3 {
		t.Errorf("%s: %v", mine.Data, err)
	}
	tell(t, lyra, `{"type":"say","text":"I sing."}`)
	if said := hear[event](t, thorin); said.Type != "say" ||
		string(said.Data) != `{"text":"I sing."}` {
		t.Errorf("%+v", said)
	}
	var written []event
	g.do("mara", "GET", "/api/v1/sessions/s1/events", "").want(200).data(&written)
	if len(written) != 2 || written[0].ID != mine.ID || written[1].Type != "say" {
		t.Errorf("%+v", written)
	}
}

func TestWritesOverHTTPAreHeardOverTheSocket(t *testing.T) {
	g := newGame(t)
	conn := g.mustSit("thorin", "s1")
	g.do("dm", "PATCH", "/api/v1/characters/c3", `{"hp":5}`).want(200)
	if e := hear[event](t, conn); e.Type != "character" ||
		string(e.Data) != `{"character_id":"c3","hp":5,"name":"Lyra"}` {
		t.Errorf("%+v", e)
	}
	g.do("dm", "PUT", "/api/v1/sessions/s1/state", `{"round":3}`).want(200)
	if e := hear[event](t, conn); e.Type != "state" || e.UserID != "u4" {
		t.Errorf("%+v", e)
	}
}

func TestTheSocketRefuses(t *testing.T) {
	g := newGame(t)
	for _, test := range []struct {
		name, user, session string
		fields              []string
		status              int
	}{
		{"who is not logged in", "thorin", "s1", []string{"Authorization: Bearer x"}, 401},
		{"a session that is not there", "thorin", "s9", nil, 404},
		{"a page of another site", "thorin", "s1", []string{"Origin: https://evil.example"}, 403},
		{"not a page of the game", "thorin", "s1", []string{"Origin: https://game.example"}, 101},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, resp, err := g.sit(test.user, test.session, test.fields...)
			if resp == nil || resp.StatusCode != test.status {
				t.Errorf("%v: %v, want %d", resp, err, test.status)
			}
		})
	}
	conn := g.mustSit("thorin", "s1")
	for _, message := range []string{
		`nonsense`, `{"type":"dance"}`, `{"type":"roll","dice":"many"}`, `{"type":"say"}`,
	} {
		tell(t, conn, message)
		if m := hear[map[string]string](t, conn); m["type"] != "error" || m["code"] != "invalid" {
			t.Errorf("%s: %v", message, m)
		}
	}
}

func TestWhoIsThrownOutHearsNoMore(t *testing.T) {
	g := newGame(t)
	conn := g.mustSit("lyra", "s1")
	g.do("dm", "DELETE", "/api/v1/campaigns/g1/members/u2", "").want(200)
	g.do("dm", "PUT", "/api/v1/sessions/s1/state", `{"round":3}`).want(200)
	if data, err := read(t, conn); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("heard %s, %v", data, err)
	}
}

// A listener reads a feed.
type listener struct {
	t     *testing.T
	body  io.Closer
	lines *bufio.Scanner
}

func (g *game) listen(ctx context.Context, user, session string, fields ...string) listener {
	g.t.Helper()
	r, err := http.NewRequestWithContext(ctx, "GET", g.url+"/api/v1/sessions/"+session+"/feed", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+g.login(user).Access)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Set(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		g.t.Fatalf("%d %v", resp.StatusCode, resp.Header)
	}
	return listener{g.t, resp.Body, bufio.NewScanner(resp.Body)}
}

// next returns the next event; ok is false at the feed's end.
func (l listener) next() (e event, ok bool) {
	l.t.Helper()
	impatient := time.AfterFunc(patience, func() {
		l.t.Error("nothing came")
		l.body.Close()
	})
	defer impatient.Stop()
	for l.lines.Scan() {
		if data, found := strings.CutPrefix(l.lines.Text(), "data: "); found {
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				l.t.Fatal(err)
			}
			return e, true
		}
	}
	return e, false
}

func TestTheFeedTellsWhatHappensAndGoesOnWhereItEnded(t *testing.T) {
	g := newGame(t)
	g.do("dm", "PUT", "/api/v1/sessions/s1/state", `{"round":1}`).want(200)
	ctx, leave := context.WithCancel(t.Context())
	feed := g.listen(ctx, "thorin", "s1")
	g.do("dm", "PUT", "/api/v1/sessions/s1/state", `{"round":2}`).want(200)
	first, _ := feed.next()
	if first.Type != "state" || !strings.Contains(string(first.Data), `"round":2`) {
		t.Errorf("%+v", first)
	}
	leave()
	g.do("dm", "PUT", "/api/v1/sessions/s1/state", `{"round":3}`).want(200)
	again := g.listen(t.Context(), "thorin", "s1", "Last-Event-ID: 2")
	if e, _ := again.next(); e.ID != 3 || first.ID != 2 {
		t.Errorf("%+v after %+v", e, first)
	}
	g.api.Close()
	if e, ok := again.next(); ok {
		t.Errorf("%+v after the API has closed", e)
	}
}

func TestAFeedEndsWithItsToken(t *testing.T) {
	g := newGame(t, func(c *config) { c.accessLife = 2e9 })
	feed := g.listen(t.Context(), "thorin", "s1")
	if e, ok := feed.next(); ok {
		t.Errorf("%+v", e)
	}
	g.do("thorin", "GET", "/api/v1/users/me", "").want(401)
}

func TestDice(t *testing.T) {
	highest := func(n int) int { return n - 1 }
	for text, want := range map[string]int{
		"d20": 20, "2d6+3": 15, "100d2": 200, "4d8-1": 31, "1d1000": 1000,
	} {
		d, err := parseDice(text)
		if err != nil {
			t.Fatal(text, err)
		}
		if _, total := d.roll(highest); total != want {
			t.Errorf("%s at best: %d, want %d", text, total, want)
		}
	}
	for _, text := range []string{
		"", "d", "d1", "0d6", "101d6", "2d6+", "2d6+3 ", "-1d6", "1d99999", "2x6",
	} {
		if d, err := parseDice(text); err == nil {
			t.Errorf("%q is %+v", text, d)
		}
	}
}
