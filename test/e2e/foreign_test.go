package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"sidecar/policy"
	"sidecar/test/proc"
)

// A foreign API is one that the sidecar was not made for. It answers by its state alone, so that
// the same requests, one after the other, have the same answers each time.
type foreign struct {
	serve func() http.Handler // begins anew
	// ask is the next request, and the caller's fields
	ask  func(r *rand.Rand, n int) (method, target string, fields []string)
	says []string // what the file has
}

// A table is the rows of a foreign API: of each, how often it was written.
type table map[string]int

// rows is an answer that shows rows, and who asks.
func rows(w http.ResponseWriter, t table, who string, names ...string) {
	out := map[string]any{"who": who}
	for _, name := range names {
		out[name] = t[name]
	}
	_ = json.NewEncoder(w).Encode(out)
}

// alone lets one request after the other through.
func alone(h http.Handler) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		h.ServeHTTP(w, r)
	})
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

// A blog in the manner of Django: slashes at the end, names and slugs in paths, a session, Vary.
// What is published moves an author's count.
func blog() http.Handler {
	t, mux := table{}, http.NewServeMux()
	who := func(r *http.Request) string {
		c, err := r.Cookie("sessionid")
		if err != nil {
			return "nobody"
		}
		return c.Value
	}
	vary := func(w http.ResponseWriter) { w.Header().Set("Vary", "Accept, Cookie") }
	mux.HandleFunc("GET /api/articles/{$}", func(w http.ResponseWriter, r *http.Request) {
		vary(w)
		rows(w, t, "page "+r.URL.Query().Get("page"), "articles", "comments")
	})
	mux.HandleFunc("GET /api/articles/{slug}/{$}", func(w http.ResponseWriter, r *http.Request) {
		vary(w)
		slug := r.PathValue("slug")
		rows(w, t, "all", slug, "comments of "+slug)
	})
	mux.HandleFunc("GET /api/articles/{slug}/comments/{$}",
		func(w http.ResponseWriter, r *http.Request) {
			vary(w)
			rows(w, t, "all", "comments of "+r.PathValue("slug"))
		})
	mux.HandleFunc("GET /api/authors/{name}/{$}", func(w http.ResponseWriter, r *http.Request) {
		vary(w)
		rows(w, t, "all", "by "+r.PathValue("name"))
	})
	mux.HandleFunc("GET /api/account/{name}/inbox/{$}",
		func(w http.ResponseWriter, r *http.Request) {
			vary(w)
			rows(w, t, who(r), "inbox of "+who(r))
		})
	mux.HandleFunc("POST /api/articles/{slug}/comments/{$}",
		func(w http.ResponseWriter, r *http.Request) {
			t["comments"]++
			t["comments of "+r.PathValue("slug")]++
			w.WriteHeader(http.StatusCreated)
		})
	mux.HandleFunc("PATCH /api/articles/{slug}/{$}",
		func(w http.ResponseWriter, r *http.Request) {
			t["articles"]++
			t[r.PathValue("slug")]++
		})
	mux.HandleFunc("POST /api/articles/{$}", func(w http.ResponseWriter, r *http.Request) {
		t["articles"]++
		t["by "+who(r)]++
		w.WriteHeader(http.StatusCreated)
	})
	return mux
}

func askBlog(r *rand.Rand, _ int) (method, target string, fields []string) {
	name := pick(r, "annabel", "roberta", "evelyn")
	slug := pick(r, "hello-world", "hello-world", "on-caches", "second-thoughts")
	fields = []string{"Cookie: sessionid=" + name}
	switch n := r.IntN(100); {
	case n < 30:
		return "GET", "/api/articles/" + slug + "/", fields
	case n < 45:
		return "GET", "/api/articles/?page=" + pick(r, "1", "1", "2"), fields
	case n < 60:
		return "GET", "/api/articles/" + slug + "/comments/", fields
	case n < 75:
		return "GET", "/api/authors/" + pick(r, "annabel", "roberta", "evelyn") + "/", fields
	case n < 90:
		return "GET", "/api/account/" + name + "/inbox/", fields
	case n < 94:
		return "POST", "/api/articles/" + slug + "/comments/", fields
	case n < 98:
		return "PATCH", "/api/articles/" + slug + "/", fields
	}
	return "POST", "/api/articles/", fields
}

// A database over HTTP in the manner of PostgREST: one path for a table, rows by the query, others'
// rows with them, functions that change some table, and tokens that are renewed all the time.
func database() http.Handler {
	t, mux := table{}, http.NewServeMux()
	mux.HandleFunc("GET /{table}", func(w http.ResponseWriter, r *http.Request) {
		name, id := r.PathValue("table"), r.URL.Query().Get("id")
		w.Header().Set("Content-Range", "0-0/*")
		shown := []string{name + id}
		if strings.Contains(r.URL.Query().Get("select"), "items") {
			shown = append(shown, "items"+id)
		}
		rows(w, t, subject(r), shown...)
	})
	mux.HandleFunc("PATCH /{table}", func(w http.ResponseWriter, r *http.Request) {
		t[r.PathValue("table")+r.URL.Query().Get("id")]++
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /rpc/trade", func(w http.ResponseWriter, _ *http.Request) {
		for _, id := range []string{"eq.1", "eq.2", "eq.3"} {
			t["items"+id]++
		}
	})
	return mux
}

// subject is the sub of a request's token.
func subject(r *http.Request) string {
	parts := strings.Split(r.Header.Get("Authorization"), ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[len(parts)/2])
	var claims struct{ Sub string }
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return "nobody"
	}
	return claims.Sub
}

// token is a token that nobody here verifies. Each time has one of its own.
func token(sub string, time int) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." +
		part(fmt.Appendf(nil, `{"sub":%q,"role":"player","iat":%d,"exp":%d}`,
			sub, time, 1<<31+time)) +
		"." + part(fmt.Appendf(nil, "signature of %s at %d", sub, time))
}

func askDatabase(r *rand.Rand, n int) (method, target string, fields []string) {
	fields = []string{"Authorization: Bearer " + token(pick(r, "annabel", "roberta"), n/40)}
	id := "id=eq." + pick(r, "1", "1", "2", "3")
	switch n := r.IntN(100); {
	case n < 40:
		return "GET", "/characters?" + id + "&select=*,items(*)", fields
	case n < 60:
		return "GET", "/items?" + id, fields
	case n < 90:
		return "GET", "/maps?" + id, fields
	case n < 94:
		return "PATCH", "/characters?" + id, fields
	case n < 98:
		return "PATCH", "/items?" + id, fields
	}
	return "POST", "/rpc/trade", fields
}

// A shop in the manner of Express: a session, weak ETags and 304, a public catalogue, a cart for
// each session, and a checkout that changes stock, cart and orders.
func shop() http.Handler {
	t, mux := table{}, http.NewServeMux()
	uptime := 0
	session := func(r *http.Request) string {
		c, err := r.Cookie("connect.sid")
		if err != nil {
			return "nobody"
		}
		return c.Value
	}
	get := func(pattern string, show func(r *http.Request) []string) {
		mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) {
			text := httptest.NewRecorder()
			who := "all"
			if strings.HasPrefix(pattern, "/cart") || strings.HasPrefix(pattern, "/orders") {
				who = session(r)
			}
			rows(text, t, who, show(r)...)
			h := fnv.New32()
			_, _ = h.Write(text.Body.Bytes())
			tag := fmt.Sprintf(`W/"%x"`, h.Sum32())
			w.Header().Set("Etag", tag)
			w.Header().Set("X-Powered-By", "Express")
			if r.Header.Get("If-None-Match") == tag {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			_, _ = w.Write(text.Body.Bytes())
		})
	}
	get("/products", func(*http.Request) []string { return []string{"products"} })
	get("/products/{id}", func(r *http.Request) []string {
		return []string{"product " + r.PathValue("id"), "stock " + r.PathValue("id")}
	})
	get("/cart", func(r *http.Request) []string { return []string{"cart of " + session(r)} })
	get("/orders", func(r *http.Request) []string { return []string{"orders of " + session(r)} })
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		uptime++
		fmt.Fprintf(w, `{"uptime":%d}`, uptime)
	})
	mux.HandleFunc("PUT /products/{id}", func(_ http.ResponseWriter, r *http.Request) {
		t["products"]++
		t["product "+r.PathValue("id")]++
	})
	mux.HandleFunc("POST /cart/lines", func(_ http.ResponseWriter, r *http.Request) {
		t["cart of "+session(r)]++
	})
	mux.HandleFunc("POST /checkout", func(_ http.ResponseWriter, r *http.Request) {
		t["cart of "+session(r)]++
		t["orders of "+session(r)]++
		for _, id := range []string{"1", "2", "3"} {
			t["stock "+id]++
		}
	})
	return mux
}

func askShop(r *rand.Rand, _ int) (method, target string, fields []string) {
	fields = []string{"Cookie: connect.sid=s%3A" + pick(r, "annabel", "roberta", "evelyn")}
	id := pick(r, "1", "1", "2", "3")
	switch n := r.IntN(100); {
	case n < 40:
		return "GET", "/products/" + id, fields
	case n < 55:
		return "GET", "/products", nil
	case n < 70:
		return "GET", "/cart", fields
	case n < 85:
		return "GET", "/orders", fields
	case n < 90:
		return "GET", "/health", nil
	case n < 93:
		return "PUT", "/products/" + id, fields
	case n < 97:
		return "POST", "/cart/lines", fields
	}
	return "POST", "/checkout", fields
}

var foreigners = map[string]foreign{
	"blog": {blog, askBlog, []string{"  - name: articles_id\n", "  - name: account_id_inbox\n"}},
	"database": {database, askDatabase, []string{"by 2 callers with", "Tokens were renewed",
		"  - name: characters\n"}},
	"shop": {shop, askShop, []string{"  - name: products_id\n", "  - name: cart\n",
		"  #- name: health\n"}},
}

// A play is the answers to a row of requests, and the GETs of each path with the hits among them.
type play struct {
	bodies []string
	asked  []string // GET and path, "" for writes
	hits   []bool
	took   time.Duration
}

// play sends the requests one after the other: an answer is there before the next is asked for.
func (f foreign) play(t *testing.T, url string) (p play) {
	t.Helper()
	began := time.Now()
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 600 {
		method, target, fields := f.ask(r, n)
		a := do(t, method, url+target, nil, fields...)
		if a.status >= 400 {
			t.Fatalf("%s %s: %d %s", method, target, a.status, a.body)
		}
		path, _, _ := strings.Cut(target, "?")
		if method != http.MethodGet {
			path = ""
		}
		p.bodies = append(p.bodies, method+" "+target+" "+string(a.body))
		p.asked, p.hits = append(p.asked, path), append(p.hits, a.hit())
	}
	p.took = time.Since(began)
	return p
}

// cached are the cache blocks of a file that are live.
var cached = regexp.MustCompile(`(?m)^    cache: \{`)

// What is observed of APIs that the sidecar was not made for is a file that validates, is safe to
// use as it stands, and has the hits that it says.
func TestWhatIsObservedOfForeignAPIsHolds(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Sorted(maps.Keys(foreigners)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := foreigners[name]
			api := httptest.NewServer(alone(f.serve()))
			defer api.Close()
			file := filepath.Join(t.TempDir(), "observed.yaml")
			watching, url := startObserving(t, api.URL, file)
			observed := f.play(t, url)
			watching.Signal(syscall.SIGINT)
			if status := watching.Wait(60 * time.Second); status != 0 {
				t.Fatalf("observe ended with %d", status)
			}
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s", content)
			for _, s := range f.says {
				if !strings.Contains(string(content), s) {
					t.Errorf("it has no %q", s)
				}
			}
			for _, private := range []string{
				"annabel", "roberta", "evelyn", "hello", "s%3A", "player",
			} {
				if strings.Contains(string(content), private) {
					t.Errorf("it tells %q", private)
				}
			}
			f.inForce(t, observed, string(content))
		})
	}
}

// inForce plays the same with the proposed policies, and each hit compared with the API.
func (f foreign) inForce(t *testing.T, observed play, file string) {
	t.Helper()
	api := httptest.NewServer(alone(f.serve()))
	defer api.Close()
	verified := cached.ReplaceAllString(file, "    cache: {verify: {share: 100%}, ")
	if _, _, err := policy.Load([]byte(verified), policy.Options{File: "observed"}); err != nil {
		t.Fatal(err)
	}
	s := startBefore(t, api.URL, policiesFile(t, verified), "LOG_LEVEL=info")
	served := f.play(t, s.url)
	for i := range served.bodies {
		uptime := strings.HasPrefix(served.asked[i], "/health")
		if served.bodies[i] != observed.bodies[i] && !uptime {
			t.Errorf("request %d is old (hit: %t): %s, and not %s", i, served.hits[i],
				served.bodies[i], observed.bodies[i])
		}
	}
	proc.Await(t, time.Minute, func() error { return s.noneDiffers(t) })
	if slowest := max(observed.took, served.took); slowest > 8*time.Second {
		t.Skipf("it took %v: that is too long to tell the hits of the ttl of 10s", slowest)
	}
	f.compare(t, served, file)
}

// noneDiffers is nil when all hits are compared.
func (s *stack) noneDiffers(t *testing.T) error {
	var status struct {
		Verified struct {
			Routes []struct {
				Route                                           string
				Hits, Compared, Differed, Inconclusive, Dropped int
			}
		}
	}
	if err := json.Unmarshal(do(t, "GET", s.ops+"/status", nil).body, &status); err != nil {
		return err
	}
	compared := 0
	for _, r := range status.Verified.Routes {
		if r.Differed > 0 {
			t.Fatalf("hits of %s differ: %+v", r.Route, r)
		}
		if r.Compared+r.Inconclusive+r.Dropped < r.Hits {
			return fmt.Errorf("%+v", r)
		}
		compared += r.Compared
	}
	t.Logf("%d hits compared: %+v", compared, status.Verified.Routes)
	if compared == 0 {
		return fmt.Errorf("no hit is compared")
	}
	return nil
}

// compare compares the hits of each live route with those that the file expects.
func (f foreign) compare(t *testing.T, served play, file string) {
	t.Helper()
	routes := 0
	for _, m := range expectation.FindAllStringSubmatch(file, -1) {
		pattern := strings.TrimSuffix(regexp.QuoteMeta(m[2]), `\{\$\}`)
		path := regexp.MustCompile(`^` +
			regexp.MustCompile(`\\\{[a-z_]+\\\}`).ReplaceAllString(pattern, "[^/]+") + `$`)
		gets, hits := 0, 0
		for i, asked := range served.asked {
			if path.MatchString(asked) {
				if gets++; served.hits[i] {
					hits++
				}
			}
		}
		var want int
		_, _ = fmt.Sscan(m[1], &want)
		if gets == 0 {
			t.Errorf("%s was never asked", m[2])
			continue
		}
		routes++
		got := 100 * hits / gets
		t.Logf("%s: %d %% of %d GETs were hits, %d %% were predicted", m[2], got, gets, want)
		if got < want-margin || got > want+margin {
			t.Errorf("%s: %d %% hits, and %d %% were predicted", m[2], got, want)
		}
	}
	if routes < 2 {
		t.Errorf("only %d routes are live", routes)
	}
}
