package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"sidecar/test/proc"
)

const recipes = "../../docs/recipes.md"

// A habit is how a framework answers, and how its clients say who they are.
type habit struct {
	answers http.Header
	ask     func(r *http.Request, caller string)
	env     []string
	// steps are a caller ("" without credentials), a method, a target, and the outcome: a hit; a
	// miss, with the present version; a pass, which never becomes a hit; a write, which makes a new
	// version.
	steps string
}

// habits are those of the sections of docs/recipes.md. What a reader takes from there is run here.
var habits = map[string]habit{
	"Express": {
		http.Header{
			"X-Powered-By": {"Express"}, "Content-Type": {"application/json; charset=utf-8"},
		},
		byCookie("connect.sid", "s%3A"), nil, `
			- GET /api/posts miss
			- GET /api/posts hit
			- GET /api/posts/1 miss
			- GET /api/posts/1 hit
			a PUT /api/posts/1 write
			- GET /api/posts miss
			- GET /api/posts/1 miss
			a GET /api/me miss
			a GET /api/me hit
			b GET /api/me miss
			a PUT /api/me write
			a GET /api/me miss
			a DELETE /api/posts/1 write
			- GET /api/posts miss`,
	},
	"Rails": {
		http.Header{"Cache-Control": {"max-age=0, private, must-revalidate"}, "X-Runtime": {"0.01"},
			"X-Request-Id": {"9a"}, "Content-Type": {"application/json; charset=utf-8"}},
		byCookie("_app_session", "BAh7"), nil, `
			a GET /articles.json miss
			a GET /articles.json hit
			b GET /articles.json miss
			a GET /articles/1 miss
			a GET /articles/1 hit
			b PATCH /articles/1 write
			a GET /articles/1 miss
			a GET /articles.json miss
			a POST /articles/1?_method=patch write
			a GET /articles/1 miss`,
	},
	"Django": {
		http.Header{"Vary": {"Accept, Cookie"}, "Allow": {"GET, PUT, PATCH, DELETE"},
			"X-Frame-Options": {"DENY"}, "Content-Type": {"application/json"}},
		byCookie("sessionid", ""), nil, `
			a GET /api/articles/ miss
			a GET /api/articles/ hit
			b GET /api/articles/ miss
			a GET /api/articles/7/ miss
			a GET /api/articles/7/ hit
			b PATCH /api/articles/7/ write
			a GET /api/articles/7/ miss
			a GET /api/articles/ miss
			a POST /api/articles/ write
			b GET /api/articles/ miss`,
	},
	"Spring": {
		http.Header{"Cache-Control": {"no-cache, no-store, max-age=0, must-revalidate"},
			"Pragma": {"no-cache"}, "Expires": {"0"}, "Content-Type": {"application/json"}},
		byCookie("JSESSIONID", ""), nil, `
			a GET /api/orders miss
			a GET /api/orders hit
			b GET /api/orders miss
			a GET /api/orders/7 miss
			a GET /api/orders/7 hit
			b PUT /api/orders/7;jsessionid=5 write
			a GET /api/orders/7 miss
			a GET /api/orders miss
			a GET /api/other pass`,
	},
	"PostgREST": {
		http.Header{"Content-Range": {"0-0/*"}, "Content-Location": {"/characters"},
			"Content-Type": {"application/json; charset=utf-8"}},
		func(r *http.Request, caller string) {
			if name, ranged := strings.CutSuffix(caller, "-rows"); ranged {
				r.Header.Set("Range", "0-9")
				r.Header.Set("Range-Unit", "items")
				caller = name
			}
			byToken(r, caller)
		}, []string{"PGRST_JWT_SECRET=" + recipeSecret}, `
			a GET /characters?id=eq.1&select=*,author(*) miss
			a GET /characters?id=eq.1&select=*,author(*) hit
			a-rows GET /characters?id=eq.1&select=*,author(*) miss
			b GET /characters?id=eq.1&select=*,author(*) miss
			a PATCH /authors?id=eq.2 write
			a GET /characters?id=eq.1&select=*,author(*) miss
			a POST /rpc/level_up write
			a GET /characters?id=eq.1&select=*,author(*) miss`,
	},
	"PocketBase": {
		http.Header{"Content-Type": {"application/json"}},
		byHeader, nil, `
			a GET /api/collections/posts/records?page=1 miss
			a GET /api/collections/posts/records?page=1 hit
			b GET /api/collections/posts/records?page=1 miss
			a GET /api/collections/posts/records/x1?expand=author miss
			a GET /api/collections/posts/records/x1?expand=author hit
			b PATCH /api/collections/users/records/u1 write
			a GET /api/collections/posts/records/x1?expand=author miss
			b POST /api/batch write
			a GET /api/collections/posts/records?page=1 miss`,
	},
	"GraphQL over GET": {
		http.Header{"Content-Type": {"application/graphql-response+json"}},
		byHeader, nil, `
			a GET /graphql?query={me{name}} miss
			a GET /graphql?query={me{name}} hit
			a GET /graphql?query={me{id}} miss
			b GET /graphql?query={me{name}} miss
			b POST /graphql write
			a GET /graphql?query={me{name}} miss
			a GET /graphql?query={me{name}}&debug=1 pass`,
	},
	"A single-page app with CORS": {
		http.Header{"Access-Control-Allow-Origin": {"https://app.example"}, "Vary": {"Origin"},
			"Content-Type": {"application/json"}},
		func(r *http.Request, caller string) {
			byHeader(r, caller)
			r.Header.Set("Origin", "https://app.example")
		}, nil, `
			a OPTIONS /api/cards/1 pass
			a GET /api/cards/1 miss
			a GET /api/cards/1 hit
			b GET /api/cards/1 miss
			b PUT /api/cards/1 write
			a GET /api/cards/1 miss`,
	},
}

const recipeSecret = "secret-of-the-recipes-of-32-bytes"

func byCookie(name, prefix string) func(*http.Request, string) {
	return func(r *http.Request, caller string) {
		r.AddCookie(&http.Cookie{Name: name, Value: prefix + caller})
	}
}

func byHeader(r *http.Request, caller string) { r.Header.Set("Authorization", "token-of-"+caller) }

func byToken(r *http.Request, caller string) {
	key := jose.SigningKey{Algorithm: jose.HS256, Key: []byte(recipeSecret)}
	signer, err := jose.NewSigner(key, nil)
	if err != nil {
		panic(err)
	}
	claims := jwt.Claims{Subject: caller, Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour))}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		panic(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
}

// Each recipe of the docs is run before a server with the habits of its framework.
func TestEveryRecipeWorksWithItsFramework(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(recipes)
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile("(?s)\n## ([^\n]+)\n.*?```yaml\n(.*?)```")
	found := section.FindAllStringSubmatch(string(page), -1)
	if len(found) != len(habits) {
		t.Fatalf("%d recipes and %d habits", len(found), len(habits))
	}
	for _, recipe := range found {
		t.Run(recipe[1], func(t *testing.T) {
			t.Parallel()
			h, ok := habits[recipe[1]]
			if !ok {
				t.Fatal("nothing is known of this framework")
			}
			h.run(t, recipe[2])
		})
	}
}

func (h habit) run(t *testing.T, policies string) {
	var version atomic.Int64
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodOptions {
			version.Add(1)
		}
		for name, values := range h.answers {
			w.Header()[name] = values
		}
		fmt.Fprintf(w, `{"version": %d}`, version.Load())
	}))
	defer api.Close()
	url := startInProcess(t, api.URL, policies, append(h.env, "REDIS_TIMEOUT=2s")...)
	for step := range strings.SplitSeq(strings.TrimSpace(h.steps), "\n") {
		f := strings.Fields(step)
		caller, method, target, want := f[0], f[1], f[2], f[3]
		ask := func() (cache, body string) {
			r, err := http.NewRequestWithContext(t.Context(), method, url+target, nil)
			if err != nil {
				t.Fatal(err)
			}
			if caller != "-" {
				h.ask(r, caller)
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			content, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return strings.TrimPrefix(resp.Header.Get("Cache-Status"), "sidecar; "), string(content)
		}
		cache, body := ask()
		hit := strings.HasPrefix(cache, "hit")
		fresh := body == fmt.Sprintf(`{"version": %d}`, version.Load())
		switch want {
		case "hit":
			proc.Await(t, 20*time.Second, func() error {
				if cache, body = ask(); !strings.HasPrefix(cache, "hit") {
					return fmt.Errorf("%s: %s", step, cache)
				}
				return nil
			})
			if body != fmt.Sprintf(`{"version": %d}`, version.Load()) {
				t.Errorf("%s: %s %s", step, cache, body)
			}
		case "miss":
			if hit || !fresh || strings.HasPrefix(cache, "fwd=bypass") {
				t.Errorf("%s: %s %s, version %d", step, cache, body, version.Load())
			}
		case "pass":
			if _, body = ask(); hit || !fresh {
				t.Errorf("%s: %s %s", step, cache, body)
			}
			if cache, _ = ask(); strings.HasPrefix(cache, "hit") {
				t.Errorf("%s: %s", step, cache)
			}
		case "write":
			if hit || !fresh {
				t.Errorf("%s: %s %s", step, cache, body)
			}
		default:
			t.Fatalf("%s: no such outcome", step)
		}
	}
}
