package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"sidecar/policy"
	"sidecar/test/proc"
)

// startObserving starts a sidecar that observes what goes to backend, and will write file.
func startObserving(t *testing.T, backend, file string, args ...string) (p *proc.Proc, url string) {
	t.Helper()
	p = proc.Start(t, proc.Cmd{
		Path: proc.Build(t, "../../cmd/sidecar"),
		Args: append([]string{"observe", "-o", file}, args...),
		Env: []string{
			"BACKEND_URL=" + backend, "LISTEN_ADDR=127.0.0.1:0", "OPS_ADDR=127.0.0.1:0",
			"LOG_FORMAT=json",
			// none of these is of any concern
			"JOBS_REDIS_HOST=127.0.0.1", "JOBS_REDIS_PORT=1", "KEY_SECRET=x", "POLICIES_FILE=/none",
			"REDIS_HOST=127.0.0.1", "REDIS_PORT=1",
		},
	})
	line := p.AwaitLine(60*time.Second, `"msg":"listening","data":"([^"]+)"`)
	return p, "http://" + line[1]
}

// A player of the game does the same things at whichever address. reads counts the GETs of each
// template and the hits among them; a read that does not show the last write fails the test.
type player struct {
	t     *testing.T
	url   string
	users map[string]string // Authorization by user
	reads map[string][2]int // GETs, and hits among them
	took  time.Duration
}

func newPlayer(t *testing.T, url string) *player {
	p := &player{t: t, url: url, users: map[string]string{}, reads: map[string][2]int{}}
	for _, user := range []string{"thorin", "lyra", "mara", "dm"} {
		p.users[user] = login(t, url, user)
	}
	return p
}

// get reads a path of the template, and returns the body without what differs each time.
func (p *player) get(user, template string, ids ...any) []byte {
	p.t.Helper()
	var fields []string
	if user != "" {
		fields = append(fields, p.users[user])
	}
	a := do(p.t, http.MethodGet, p.url+fmt.Sprintf(template, ids...), nil, fields...)
	if a.status != http.StatusOK {
		p.t.Fatalf("GET "+template+": %d %s", append(ids, a.status, a.body)...)
	}
	n := p.reads[template]
	n[0]++
	if a.hit() {
		n[1]++
	}
	p.reads[template] = n
	return a.body
}

func (p *player) write(user, method, path string, body any) {
	p.t.Helper()
	if a := do(p.t, method, p.url+path, body, p.users[user]); a.status >= 300 {
		p.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
}

// play is what happens in a game: each owner looks at characters, again and again, and some things
// change meanwhile.
func (p *player) play() {
	p.t.Helper()
	defer func(began time.Time) { p.took = time.Since(began) }(time.Now())
	owners := map[string][]string{
		"thorin": {"c1", "c2"},
		"lyra":   {"c3", "c4"},
		"mara":   {"c5", "c6"},
	}
	users := []string{"thorin", "lyra", "mara"}
	for round := range 6 {
		for _, user := range users {
			for range 3 {
				p.get(user, "/api/v1/characters")
				for _, id := range owners[user] {
					p.get(user, "/api/v1/characters/%s", id)
					p.get(user, "/api/v1/characters/%s/inventory", id)
					p.get(user, "/api/v1/characters/%s/sheet", id)
				}
				p.get("", "/api/v1/rules/spells")
				for _, id := range []string{"spark", "mend", "ward", "firestorm", "far-sight"} {
					p.get("", "/api/v1/rules/spells/%s", id)
				}
				p.get(user, "/api/v1/users/me")
			}
		}
		hp := 3 + round
		p.write("thorin", http.MethodPatch, "/api/v1/characters/c1", map[string]any{"hp": hp})
		p.check("thorin", "/api/v1/characters/%s", "c1", "data.hp", hp)
		if round%2 == 0 {
			p.write(
				"lyra",
				http.MethodPost,
				"/api/v1/characters/c3/inventory",
				map[string]any{"name": fmt.Sprintf("rope %d", round), "quantity": 1, "weight": 1},
			)
			if body := p.get("lyra", "/api/v1/characters/%s/inventory", "c3"); !bytes.Contains(
				body,
				fmt.Appendf(nil, "rope %d", round),
			) {
				p.t.Errorf("the inventory is old: %s", body)
			}
			p.trade(round)
		}
	}
}

// trade gives an arrow away, back and forth: no path relates it to inventories.
func (p *player) trade(round int) {
	p.t.Helper()
	before := p.get("mara", "/api/v1/characters/%s/inventory", "c5")
	p.write(
		"mara",
		http.MethodPost,
		"/api/v1/trade",
		map[string]any{"item_id": "i6", "to_character_id": "c6"},
	)
	if after := p.get("mara", "/api/v1/characters/%s/inventory", "c5"); bytes.Equal(before, after) {
		p.t.Errorf("the inventory is old after the trade of round %d", round)
	}
	p.write(
		"mara",
		http.MethodPost,
		"/api/v1/trade",
		map[string]any{"item_id": "i6", "to_character_id": "c5"},
	)
}

func (p *player) check(user, template, id, path string, want int) {
	p.t.Helper()
	var got struct {
		Data struct {
			HP int `json:"hp"`
		} `json:"data"`
	}
	body := p.get(user, template, id)
	if err := json.Unmarshal(body, &got); err != nil || got.Data.HP != want {
		p.t.Errorf("%s is %d, want %d: %s", path, got.Data.HP, want, body)
	}
}

// expectation finds the expected ratio of each live route.
var expectation = regexp.MustCompile(
	`(?s)Expected: (\d+) % hits[^\n]*\n(?:  # [^\n]*\n)*  - name: [^\n]*\n    match: GET ([^\n]+)\n`,
)

// What is observed of the game is a policies file that validates, and a sidecar with it has the hit
// ratio that was predicted, and answers nothing old.
func TestWhatIsObservedHoldsWhenItIsInForce(t *testing.T) {
	t.Parallel()
	_, api := startGame(t)
	file := filepath.Join(t.TempDir(), "observed.yaml")
	watching, url := startObserving(t, api, file)
	observed := newPlayer(t, url)
	observed.play()
	for template, n := range observed.reads {
		if n[1] > 0 {
			t.Errorf("%s: %d hits while it only observes", template, n[1])
		}
	}
	watching.Signal(syscall.SIGINT)
	if status := watching.Wait(60 * time.Second); status != 0 {
		t.Fatalf("observe ended with %d", status)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", content)
	if _, _, err := policy.Load(content, policy.Options{File: file}); err != nil {
		t.Fatal(err)
	}
	for _, secret := range strings.Fields("thorin Bearer c3 i6 spark given-before rope") {
		if strings.Contains(string(content), secret) {
			t.Errorf("it tells %q", secret)
		}
	}

	_, api = startGame(t) // as it was at first
	s := startBefore(t, api, file, "LOG_LEVEL=info")
	served := newPlayer(t, s.url)
	served.play()
	if slowest := max(observed.took, served.took); slowest > 8*time.Second {
		t.Skipf("the game took %v: that is too long to tell the hits of the ttl of 10s", slowest)
	}
	predicted := 0
	for _, m := range expectation.FindAllStringSubmatch(string(content), -1) {
		template := regexp.MustCompile(`\{[a-z_]+(\|[a-z]+)?\}`).ReplaceAllString(m[2], "%s")
		n, ok := served.reads[template]
		if !ok {
			t.Errorf("%s was never asked", template)
			continue
		}
		predicted++
		var want int
		_, _ = fmt.Sscan(m[1], &want)
		got := 100 * n[1] / n[0]
		t.Logf("%s: %d %% of %d GETs were hits, %d %% were predicted", template, got, n[0], want)
		if got < want-margin || got > want+margin {
			t.Errorf("%s: %d %% hits, and %d %% were predicted", template, got, want)
		}
	}
	if predicted < 5 {
		t.Errorf("only %d routes are live", predicted)
	}
}

// margin is how far the hit ratio may be from the predicted one, in percent points.
const margin = 5

func TestAWebSocketPassesWhileTrafficIsObserved(t *testing.T) {
	t.Parallel()
	_, api := startGame(t)
	_, url := startObserving(t, api, filepath.Join(t.TempDir(), "observed.yaml"))
	roll(t, url)
}

// What init proposes for the game, with the cookie that each of its answers sets dropped, has hits,
// and answers nothing old where a path says what a write changes.
func TestWhatInitProposesHoldsWhereItIsInForce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "init.yaml")
	document, err := filepath.Abs("../../internal/openapi/testdata/game.yaml")
	if err != nil {
		t.Fatal(err)
	}
	made := proc.Start(t, proc.Cmd{
		Path: proc.Build(t, "../../cmd/sidecar"), Args: []string{"init", "-o", file, document},
	})
	if status := made.Wait(60 * time.Second); status != 0 {
		t.Fatalf("init ended with %d", status)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	content = append(content, "\ndefaults: {cache: {set_cookie: {drop: [csrf_token]}}}\n"...)
	_, api := startGame(t)
	p := newPlayer(t, startBefore(t, api, policiesFile(t, string(content)), "LOG_LEVEL=info").url)
	for round := range 5 {
		for range 3 {
			for _, user := range []string{"thorin", "lyra"} {
				p.get(user, "/api/v1/characters")
				p.get(user, "/api/v1/users/me")
				p.get(user, "/api/v1/rules/spells")
			}
			p.get("thorin", "/api/v1/characters/%s", "c1")
			p.get("dm", "/api/v1/characters/%s", "c1")
			p.get("dm", "/api/v1/users/%s/characters", "u1")
		}
		hp, name := 3+round, fmt.Sprintf("Thorin %d", round)
		p.write("thorin", http.MethodPatch, "/api/v1/characters/c1", map[string]any{"hp": hp})
		for _, user := range []string{"thorin", "dm"} {
			p.check(user, "/api/v1/characters/%s", "c1", "data.hp", hp)
		}
		p.write("thorin", http.MethodPost, "/api/v1/characters",
			map[string]any{"name": name, "class": "fighter"})
		for _, body := range [][]byte{
			p.get("thorin", "/api/v1/characters"),
			p.get("dm", "/api/v1/users/%s/characters", "u1"),
		} {
			if !bytes.Contains(body, []byte(name)) {
				t.Errorf("the list is old: %s", body)
			}
		}
	}
	for template, n := range p.reads {
		if n[0] > 5 && n[1] == 0 {
			t.Errorf("%s: none of %d GETs was a hit", template, n[0])
		}
	}
}
