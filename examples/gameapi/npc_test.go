package main

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func (g *game) npcs(user string) []npc {
	g.t.Helper()
	var list []npc
	g.do(user, "GET", "/api/v1/npcs", "").want(200).data(&list)
	return list
}

func TestAnIdempotencyKeyMakesOneNPC(t *testing.T) {
	g := newGame(t, func(c *config) { c.npcDelay = 50 * time.Millisecond })
	ids := make([]string, 4)
	var wg sync.WaitGroup
	g.login("thorin")
	for i := range ids {
		wg.Go(func() {
			a := g.do("thorin", "POST", "/api/v1/npc/generate", `{"prompt":"a smith"}`,
				"Idempotency-Key: k1")
			var n npc
			a.data(&n)
			ids[i] = n.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id == "" || id != ids[0] {
			t.Errorf("ids %q", ids)
		}
	}
	list := g.npcs("thorin")
	if len(list) != 1 || list[0].IdempotencyKey == nil || *list[0].IdempotencyKey != "k1" ||
		list[0].Prompt != "a smith" {
		t.Fatalf("%+v", list)
	}
	g.do("thorin", "POST", "/api/v1/npc/generate", `{}`, "Idempotency-Key: k1").want(200)
	g.do("lyra", "POST", "/api/v1/npc/generate", `{}`, "Idempotency-Key: k1").want(201)
	g.do("thorin", "POST", "/api/v1/npc/generate", `{}`, "Idempotency-Key: k2").want(201)
	g.do("thorin", "POST", "/api/v1/npc/generate", `{}`).want(201)
	g.do("thorin", "POST", "/api/v1/npc/generate", `{}`).want(201)
	if list = g.npcs("thorin"); len(list) != 5 {
		t.Errorf("%d npcs, want one for each key and user, and one for each request without",
			len(list))
	}
}

func TestWhoLeavesTheGeneratorGetsNoNPC(t *testing.T) {
	g := newGame(t, func(c *config) { c.npcDelay = time.Hour })
	ctx, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, "POST", g.url+"/api/v1/npc/generate",
		strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+g.login("thorin").Access)
	r.Header.Set("X-Request-Id", "leaving")
	left := make(chan error, 1)
	go func() {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil {
			resp.Body.Close()
		}
		left <- err
	}()
	eventually(t, "the limiter has counted the request", func() bool {
		g.api.limit.mu.Lock()
		defer g.api.limit.mu.Unlock()
		return g.api.limit.windows["127.0.0.1"].used == 2 // the login, and this
	})
	leave()
	if err := <-left; err == nil {
		t.Fatal("answered")
	}
	eventually(t, "the request has ended",
		func() bool { return g.logs.has(`"request_id":"leaving"`) })
	if list := g.npcs("thorin"); len(list) != 0 {
		t.Errorf("%+v", list)
	}
}

func TestOnlyADMSeesAnNPCsSecret(t *testing.T) {
	g := newGame(t)
	var made npc
	a := g.do("thorin", "POST", "/api/v1/npc/generate", `{}`).want(201)
	a.data(&made)
	if made.Secret != "" || a.Header.Get("Location") != "/api/v1/npcs/"+made.ID {
		t.Errorf("%+v %v", made, a.Header)
	}
	for user, sees := range map[string]bool{"thorin": false, "lyra": false, "dm": true} {
		var one npc
		g.do(user, "GET", "/api/v1/npcs/"+made.ID, "").want(200).data(&one)
		if listed := g.npcs(user)[0]; (one.Secret != "") != sees || (listed.Secret != "") != sees {
			t.Errorf("%s: %+v, %+v", user, one, listed)
		}
	}
}
