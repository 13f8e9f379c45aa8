package main

import (
	"net/http"
	"strings"
	"testing"
)

func TestWhoMayDoWhat(t *testing.T) {
	g := newGame(t)
	for _, test := range []struct {
		rule, user, method, path, body string
		status                         int
	}{
		{"nobody reads without logging in", "", "GET", "/characters/c1", "", 401},
		{"an owner reads a character", "thorin", "GET", "/characters/c1", "", 200},
		{"a dm reads every character", "dm", "GET", "/characters/c1", "", 200},
		{"to other players it is not there", "lyra", "GET", "/characters/c1", "", 404},
		{"nor is its sheet", "lyra", "GET", "/characters/c1/sheet", "", 404},
		{"nor its inventory", "lyra", "GET", "/characters/c1/inventory", "", 404},
		{"nor do they change it", "lyra", "PATCH", "/characters/c1", `{"hp":1}`, 404},
		{"nor delete it", "lyra", "DELETE", "/characters/c1", "", 404},
		{"nor take from its inventory", "lyra", "DELETE", "/characters/c1/inventory/i1", "", 404},
		{"an item is of one character", "thorin", "DELETE", "/characters/c2/inventory/i1", "", 404},
		{"nor trade away what is not theirs", "lyra", "POST", "/trade",
			`{"item_id":"i1","to_character_id":"c3"}`, 404},
		{"notes are the player's alone, even before a dm", "dm", "GET",
			"/characters/c1/notes", "", 403},
		{"a player lists own characters by user too", "thorin", "GET",
			"/users/u1/characters", "", 200},
		{"but not those of others", "lyra", "GET", "/users/u1/characters", "", 403},
		{"a player makes no character for others", "thorin", "POST", "/characters",
			`{"name":"x","class":"y","user_id":"u2"}`, 403},
		{"nor does a dm for a user who is not there", "dm", "POST", "/characters",
			`{"name":"x","class":"y","user_id":"u9"}`, 404},
		{"a player begins no campaign", "thorin", "POST", "/campaigns", `{"name":"x"}`, 403},
		{"nor leads one", "thorin", "PUT", "/campaigns/g1", `{"name":"x"}`, 403},
		{"nor awards", "thorin", "POST", "/campaigns/g1/award",
			`{"character_ids":["c1"],"xp":1}`, 403},
		{"an award to a character that is not there gives nobody anything", "dm", "POST",
			"/campaigns/g1/award", `{"character_ids":["c1","c9"],"xp":1000}`, 404},
		{"nor moves the scene", "thorin", "PUT", "/sessions/s1/state", `{"round":9}`, 403},
		{"a player seats no character of others", "thorin", "POST", "/sessions/s2/players",
			`{"character_id":"c3"}`, 404},
		{"the dm cannot be thrown out", "dm", "DELETE", "/campaigns/g1/members/u4", "", 400},
		{"a player writes no rules", "thorin", "PUT", "/rules/spells/spark", `{"text":"x"}`, 403},
		{"nor draws maps", "thorin", "PUT", "/maps/tavern", `{"seed":1}`, 403},
		{"everybody reads rules", "", "GET", "/rules/spells/spark", "", 200},
		{"hp stays within max_hp", "thorin", "PATCH", "/characters/c1", `{"hp":46}`, 400},
		{"what is no JSON is refused", "thorin", "PATCH", "/characters/c1", `{`, 400},
		{"what follows the JSON is refused", "thorin", "PATCH", "/characters/c1", `{} {}`, 400},
		{"a name that comes twice is refused", "dm", "POST", "/campaigns/g1/award",
			`{"character_ids":["c1"],"xp":1,"character_ids":["c3"]}`, 400},
		{"in another case too", "dm", "POST", "/campaigns/g1/award",
			`{"character_ids":["c1"],"xp":1,"Character_IDs":["c3"]}`, 400},
		{"a body has a bound", "thorin", "PATCH", "/characters/c1",
			`{"name":"` + strings.Repeat("x", maxRequestBody) + `"}`, 413},
		{"a page is a number", "thorin", "GET", "/characters?page=x", "", 400},
		{"a page has a bound", "thorin", "GET", "/characters?limit=101", "", 400},
		{"a method that a route has not is told so", "thorin", "PUT", "/characters", "", 405},
		{"a route that is not there is told so", "thorin", "GET", "/dragons", "", 404},
	} {
		t.Run(test.rule, func(t *testing.T) {
			a := g.do(test.user, test.method, "/api/v1"+test.path, test.body).want(test.status)
			if test.status >= 400 && a.failure().Message == "" {
				t.Errorf("no message: %s", a.content)
			}
		})
	}
	var c character
	g.do("thorin", "GET", "/api/v1/characters/c1", "").want(http.StatusOK).data(&c)
	if c.XP != 2300 || c.HP != 42 {
		t.Errorf("a refused write changed something: %+v", c)
	}
}

func TestPagesTogetherAreTheWholeList(t *testing.T) {
	g := newGame(t)
	var all, paged []character
	g.do("thorin", "GET", "/api/v1/characters", "").want(200).data(&all)
	for _, page := range []string{"1", "2", "3"} {
		var one []character
		g.do("thorin", "GET", "/api/v1/characters?limit=1&page="+page, "").want(200).data(&one)
		paged = append(paged, one...)
	}
	if len(all) != 2 || len(paged) != 2 || all[0] != paged[0] || all[1] != paged[1] {
		t.Errorf("all %v\npaged %v", all, paged)
	}
}

func TestEntityTags(t *testing.T) {
	g := newGame(t)
	for _, path := range []string{"/api/v1/characters/c1", "/api/v1/characters/c1/sheet",
		"/api/v1/users/me", "/api/v1/campaigns/g1",
		"/api/v1/sessions/s1", "/api/v1/rules/spells/spark", "/api/v1/maps/tavern/image"} {
		t.Run(path, func(t *testing.T) {
			etag := g.do("thorin", "GET", path, "").want(200).Header.Get("ETag")
			for _, value := range []string{etag, "W/" + etag, `"x", ` + etag, "*"} {
				a := g.do("thorin", "GET", path, "", "If-None-Match: "+value).want(304)
				if len(a.content) != 0 || a.Header.Get("ETag") != etag {
					t.Errorf("%s: %q %q", value, a.content, a.Header.Get("ETag"))
				}
			}
			g.do("thorin", "GET", path, "", `If-None-Match: "x"`).want(200)
		})
	}
	for _, path := range []string{
		"/api/v1/characters", "/api/v1/sessions", "/api/v1/npcs", "/api/v1/rules/spells",
		"/api/v1/sessions/s1/players",
	} {
		if a := g.do("thorin", "GET", path, "").want(200); a.Header.Get("ETag") != "" {
			t.Errorf("%s has an entity tag", path)
		}
	}
	etag := g.do("thorin", "GET", "/api/v1/characters/c1", "").Header.Get("ETag")
	g.do("dm", "PATCH", "/api/v1/characters/c1", `{"hp":1}`).want(200)
	if a := g.do("thorin", "GET", "/api/v1/characters/c1", "",
		"If-None-Match: "+etag).want(200); a.Header.Get("ETag") == etag {
		t.Error("the tag stayed though the character changed")
	}
}

func TestHeadIsGetWithoutTheBody(t *testing.T) {
	g := newGame(t)
	for _, path := range []string{
		"/api/v1/characters/c1", "/api/v1/characters", "/api/v1/maps/tavern/image",
	} {
		get, head := g.do("thorin", "GET", path, "").want(200),
			g.do("thorin", "HEAD", path, "").want(200)
		if len(head.content) != 0 || head.ContentLength != int64(len(get.content)) ||
			head.Header.Get("ETag") != get.Header.Get("ETag") {
			t.Errorf("%s: %d bytes announced, %d there; %v",
				path, head.ContentLength, len(get.content), head.Header)
		}
	}
}
