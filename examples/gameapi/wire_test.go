package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestEveryAnswerHasItsRequestIDAndRateLimit(t *testing.T) {
	g := newGame(t)
	for _, path := range []string{
		"/healthz", "/api/v1/characters", "/nowhere", "/api/v1/tavern/teapot",
		"/api/v1/rules/spells",
	} {
		a := g.do("", "GET", path, "")
		for _, name := range []string{
			"X-Request-Id", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset",
		} {
			if len(a.Header.Values(name)) != 1 || a.Header.Get(name) == "" {
				t.Errorf("%s: %s is %q", path, name, a.Header.Values(name))
			}
		}
	}
	if id := g.do("", "GET", "/healthz", "",
		"X-Request-Id: mine-1").Header.Get("X-Request-Id"); id != "mine-1" {
		t.Errorf("the client's own name became %q", id)
	}
	if id := g.do("", "GET", "/healthz", "",
		`X-Request-Id: {"not":"mine"}`).Header.Get("X-Request-Id"); strings.Contains(id, "mine") {
		t.Errorf("a wild name was taken: %q", id)
	}
}

func TestTheAccessLogHasALineForEachRequest(t *testing.T) {
	g := newGame(t)
	g.do("", "GET", "/api/v1/rules/spells/a%2Fb?x=1", "", "X-Request-Id: one",
		"X-Forwarded-For: 192.0.2.7", "Idempotency-Key: k").want(404)
	eventually(t, "the line is there", func() bool {
		return g.logs.has(`"msg":"request"`, `"method":"GET"`,
			`"path":"/api/v1/rules/spells/a%2Fb"`, `"query":"x=1"`, `"status":404`,
			`"request_id":"one"`, `"x_forwarded_for":["192.0.2.7"]`, `"remote":"127.0.0.1:`,
			`"idempotency_key":"k"`)
	})
}

func TestAMapComesWholeOrInRanges(t *testing.T) {
	g := newGame(t)
	whole := g.do("", "GET", "/api/v1/maps/world/image", "").want(200)
	if size := len(whole.content); size != 5120*4096+len("P5 5120 4096 255\n") {
		t.Fatalf("%d bytes", size)
	}
	if again := g.do("", "GET", "/api/v1/maps/world/image",
		""); !bytes.Equal(again.content, whole.content) {
		t.Error("the same map twice, and they differ")
	}
	for _, span := range [][2]int{
		{0, 0}, {0, 20}, {15, 18}, {1000003, 1500000},
		{len(whole.content) - 5, len(whole.content) - 1},
	} {
		a := g.do("", "GET", "/api/v1/maps/world/image", "",
			fmt.Sprintf("Range: bytes=%d-%d", span[0], span[1])).want(206)
		if !bytes.Equal(a.content, whole.content[span[0]:span[1]+1]) {
			t.Errorf("range %v differs from the whole", span)
		}
	}
	g.do("", "GET", "/api/v1/maps/world/image", "", "Range: bytes=99999999-").want(416)
	a := g.do("", "GET", "/api/v1/maps/world/image", "", "Range: bytes=0-1,5-6").want(206)
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "multipart/byteranges") {
		t.Error(a.Header)
	}
	a = g.do("", "GET", "/api/v1/maps/world/image", "", "Range: bytes=0-1",
		`If-Range: "another"`).want(200)
	if len(a.content) != len(whole.content) {
		t.Error("If-Range with another tag, and a part came")
	}
}

func TestTerrainReadsTheSameHoweverItIsRead(t *testing.T) {
	terrain := newTerrain(3, 37, 11)
	whole := make([]byte, terrain.size())
	if n, err := terrain.ReadAt(whole, 0); int64(n) != terrain.size() || err != nil {
		t.Fatal(n, err)
	}
	if err := iotest.TestReader(terrain.reader(), whole); err != nil {
		t.Error(err)
	}
}

func TestAnExportEndsWithTheDigestOfWhatItSent(t *testing.T) {
	g := newGame(t)
	a := g.do("thorin", "GET", "/api/v1/exports/characters", "").want(200)
	sum := sha256.Sum256(a.content)
	if got, want := a.Trailer.Get("Content-Digest"), "sha-256=:"+
		base64.StdEncoding.EncodeToString(sum[:])+":"; got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	if a.Trailer.Get("X-Record-Count") != "2" || bytes.Count(a.content, []byte("\n")) != 2 ||
		a.ContentLength != -1 {
		t.Errorf("%v, %d bytes announced: %s", a.Trailer, a.ContentLength, a.content)
	}
}

func TestThePageIsAnnouncedEarlyAndSetsTwoCookies(t *testing.T) {
	g := newGame(t)
	var early []textproto.MIMEHeader
	ctx := httptrace.WithClientTrace(t.Context(),
		&httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints {
				early = append(early, h)
			}
			return nil
		}})
	r, err := http.NewRequestWithContext(ctx, "GET", g.url+"/play", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	if len(early) != 1 || len(early[0]) != 1 || !strings.Contains(early[0].Get("Link"), "preload") {
		t.Errorf("early: %v", early)
	}
	if resp.StatusCode != 200 || len(resp.Header.Values("Set-Cookie")) != 2 ||
		resp.Header.Get("X-Request-Id") == "" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}

func TestTheTeapot(t *testing.T) {
	g := newGame(t)
	for _, method := range []string{"GET", "POST", "BREW"} {
		if code := g.do("", method, "/api/v1/tavern/teapot",
			"").want(418).failure().Code; code != "teapot" {
			t.Error(method, code)
		}
	}
}

func TestOneOriginMayCallFromABrowser(t *testing.T) {
	g := newGame(t)
	preflight := []string{
		"Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization",
	}
	a := g.do("", "OPTIONS", "/api/v1/characters/c1", "",
		append(preflight, "Origin: https://game.example")...).want(204)
	if a.Header.Get("Access-Control-Allow-Origin") != "https://game.example" ||
		!strings.Contains(a.Header.Get("Access-Control-Allow-Methods"), "PUT") {
		t.Error(a.Header)
	}
	a = g.do("", "OPTIONS", "/api/v1/characters/c1", "",
		append(preflight, "Origin: https://evil.example")...).want(204)
	if a.Header.Get("Access-Control-Allow-Origin") != "" ||
		a.Header.Get("Access-Control-Allow-Methods") != "" {
		t.Error(a.Header)
	}
	a = g.do("thorin", "GET", "/api/v1/characters/c1", "", "Origin: https://game.example").want(200)
	if a.Header.Get("Access-Control-Allow-Origin") != "https://game.example" ||
		a.Header.Get("Vary") != "Origin" {
		t.Error(a.Header)
	}
	a = g.do("thorin", "GET", "/api/v1/characters/c1", "").want(200)
	if a.Header.Get("Access-Control-Allow-Origin") != "" || a.Header.Get("Vary") != "Origin" {
		t.Error(a.Header)
	}
	g.do("", "OPTIONS", "/api/v1/characters/c1", "").want(405)
}

func TestASlowAPIHoldsTheHeadBackNotTheRead(t *testing.T) {
	g := newGame(t, func(c *config) {
		c.delayMin, c.delayMax = 20*time.Millisecond, 30*time.Millisecond
	})
	began := time.Now()
	g.do("", "GET", "/healthz", "").want(200)
	if took := time.Since(began); took < 20*time.Millisecond {
		t.Errorf("answered after %s", took)
	}
}
