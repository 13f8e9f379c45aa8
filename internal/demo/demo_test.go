package demo_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"sidecar/internal/demo"
	"sidecar/internal/redisconn"
	"sidecar/policy"
)

const thorin, lyra = "Bearer demo-thorin", "Bearer demo-lyra"

// serve starts a demo API that answers at once.
func serve(t *testing.T) (url string) {
	t.Helper()
	api := demo.NewAPI()
	api.ReadDelay, api.GenerateDelay = 0, 0
	server := httptest.NewServer(api.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

// ask returns the status of an answer and its data.
func ask(t *testing.T, method, url, who, body string) (status int, data string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", who)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		Success bool            `json:"success"`
		Data    json.RawMessage `json:"data"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if answer.Success != (resp.StatusCode < 300) {
		t.Errorf("%s %s: %d with success %t", method, url, resp.StatusCode, answer.Success)
	}
	return resp.StatusCode, string(answer.Data)
}

func TestAPlayerSeesAndChangesOnlyTheirOwnCharacters(t *testing.T) {
	url := serve(t) + "/api/v1/characters"
	for _, c := range []struct {
		method, path, who, body string
		status                  int
		data                    string // has this in it
	}{
		{"GET", "", "Bearer nobody", "", 401, ""},
		{"GET", "/1", "demo-thorin", "", 200, `"hp":42`},
		{"GET", "", thorin, "", 200, `[{"id":"1","user_id":"thorin","name":"Thorin","hp":42}]`},
		{"GET", "/2", thorin, "", 404, ""},
		{"GET", "/2", lyra, "", 200, `"name":"Lyra"`},
		{"PUT", "/1", lyra, `{"hp": 1}`, 404, ""},
		{"PUT", "/1", thorin, `{"hp": "many"}`, 400, ""},
		{"PUT", "/1", thorin, `{"name": "` + strings.Repeat("x", 1<<16) + `"}`, 400, ""},
		{"GET", "/1", thorin, "", 200, `"hp":42`},
		{"PUT", "/1", thorin, `{"hp": 7, "name": "T."}`, 200, `"name":"T.","hp":7`},
		{"GET", "/1", thorin, "", 200, `"name":"T.","hp":7`},
	} {
		status, data := ask(t, c.method, url+c.path, c.who, c.body)
		if status != c.status || !strings.Contains(data, c.data) {
			t.Errorf("%s %s by %q: %d %s, want %d with %s", c.method, c.path, c.who, status, data,
				c.status, c.data)
		}
	}
}

func TestAGeneratedNPCIsListedAndTheListIsBounded(t *testing.T) {
	url := serve(t)
	status, made := ask(t, "POST", url+"/api/v1/npc/generate", lyra, "")
	if _, listed := ask(t, "GET", url+"/api/v1/npcs", lyra, ""); status != 201 ||
		listed != "["+made+"]" {
		t.Errorf("%d %s, then listed: %s", status, made, listed)
	}
	for range 1001 {
		ask(t, "POST", url+"/api/v1/npc/generate", lyra, "")
	}
	_, listed := ask(t, "GET", url+"/api/v1/npcs", lyra, "")
	if n := strings.Count(listed, `"id"`); n != 1000 {
		t.Errorf("%d NPCs are listed", n)
	}
}

func TestASlowRouteEndsWithItsClient(t *testing.T) {
	api := demo.NewAPI()
	api.ReadDelay, api.GenerateDelay = time.Hour, time.Hour
	for _, target := range []string{"GET /api/v1/characters", "GET /api/v1/characters/1",
		"GET /api/v1/npcs", "POST /api/v1/npc/generate"} {
		method, path, _ := strings.Cut(target, " ")
		ctx, leave := context.WithCancel(t.Context())
		leave()
		r := httptest.NewRequestWithContext(ctx, method, path, nil)
		r.Header.Set("Authorization", thorin)
		w := httptest.NewRecorder()
		api.Handler().ServeHTTP(w, r)
		if w.Body.Len() > 0 {
			t.Errorf("%s answered %q", target, w.Body)
		}
	}
}

func TestTheRoutesOfTheTourHavePolicies(t *testing.T) {
	table, _, err := policy.Load(demo.Policies,
		policy.Options{Secret: func() []byte { return []byte("any") }})
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]string{}
	for _, r := range table.Routes() {
		kinds[strings.Join(r.Match, ",")] = r.Kind
	}
	for match, want := range map[string]string{"GET /api/v1/characters/{id}": "cache",
		"PUT /api/v1/characters/{id}": "invalidate", "POST /api/v1/npc/generate": "job"} {
		if kinds[match] != want {
			t.Errorf("%s is %q, want %q", match, kinds[match], want)
		}
	}
}

func TestTheTourNamesTheAddresses(t *testing.T) {
	var out strings.Builder
	at := demo.Addresses{Sidecar: "sidecar:1", Ops: "ops:2", API: "api:3", Control: "control:4"}
	if err := demo.Tour(&out, at); err != nil {
		t.Fatal(err)
	}
	hosts := regexp.MustCompile(`[a-z]+:\d`).FindAllString(out.String(), -1)
	for _, want := range []string{at.Sidecar, at.Ops, at.API, at.Control} {
		if !strings.Contains(strings.Join(hosts, " "), want) {
			t.Errorf("the tour does not name %s", want)
		}
	}
	if err := demo.Tour(brokenWriter{}, at); err == nil {
		t.Error("a tour that could not be written is no error")
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestControlStopsAndStartsRedis(t *testing.T) {
	redis, err := redisconn.StartEmbedded()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = redis.Stop() })
	at := net.JoinHostPort(redis.Config().Host, redis.Config().Port)
	control := demo.Control(redis)
	post := func(path string) int {
		w := httptest.NewRecorder()
		control.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, nil))
		return w.Code
	}
	if status := post("/redis/pull"); status != http.StatusOK {
		t.Errorf("pull: %d", status)
	}
	taken, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal("Redis still listens: ", err)
	}
	if status := post("/redis/plug"); status != http.StatusInternalServerError {
		t.Errorf("plug while another has the port: %d", status)
	}
	_ = taken.Close()
	if status := post("/redis/plug"); status != http.StatusOK {
		t.Errorf("plug: %d", status)
	}
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal("Redis does not listen: ", err)
	}
	_ = conn.Close()
}
