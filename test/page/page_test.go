// Package page looks at the page of the ops address in a headless Chromium.
package page

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"sidecar/test/proc"
)

// axeCore is the version of axe-core that is fetched from the npm registry at run time.
const axeCore = "axe-core@4.14.1"

var shots = flag.String("shots", "", "directory for the screenshots; empty: none are kept")

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	proc.Clean()
	os.Exit(code)
}

const policies = `version: 1
caller: {credentials: ["header:Authorization"]}
routes:
  - {name: item, match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, tags: ["item:{id}"], verify: {share: 20%, ignore: [n]}}}
  - {name: cookie, match: "GET /cookie", cache: {scope: shared, ttl: 1h}}
  - {name: item_write, match: "PUT /items/{id}", invalidate: ["item:{id}"]}
  - {name: generate, match: "POST /generate", job: {mode: always, max_retry: 8}}
`

const token = "the admin token of this test"

// A sidecar is a running binary with an API behind it.
type sidecar struct {
	*proc.Proc
	data, ops string
	api       *httptest.Server
}

func start(t *testing.T) *sidecar {
	t.Helper()
	return startWith(t, policies, "REDIS_EMBEDDED=true")
}

// startWith starts a sidecar with policies and a Redis.
func startWith(t *testing.T, policies string, redis ...string) *sidecar {
	t.Helper()
	var mu sync.Mutex
	n := 0
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		n++
		answer := fmt.Sprintf(`{"n": %d}`, n)
		mu.Unlock()
		time.Sleep(5 * time.Millisecond)
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/cookie":
			w.Header().Set("Set-Cookie", "a=b")
		case "/generate", "/ill":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(api.Close)
	file := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(file, []byte(policies), 0o600); err != nil {
		t.Fatal(err)
	}
	p := proc.Start(t,
		proc.Cmd{Path: proc.Build(t, "../../cmd/sidecar"), Env: append(append(proc.Env(),
			redis...), "BACKEND_URL="+api.URL, "POLICIES_FILE="+file,
			"LISTEN_ADDR=127.0.0.1:0",
			"OPS_ADDR=127.0.0.1:0", "ADMIN_TOKEN="+token,
			"KEY_SECRET=a secret of this test that is long enough",
			"LOG_FORMAT=json", "REDIS_TIMEOUT=2s")})
	m := p.AwaitLine(time.Minute, `"data":"([^"]+)","ops":"([^"]+)"`)
	s := &sidecar{Proc: p, data: "http://" + m[1], ops: "http://" + m[2], api: api}
	proc.Await(t, time.Minute, func() error {
		_, err := s.send("GET", "/items/1")
		return err
	})
	return s
}

// send sends a request to the data plane.
func (s *sidecar) send(method, path string) (cache string, err error) {
	r, err := http.NewRequest(method, s.data+path, strings.NewReader(""))
	if err != nil {
		return "", err
	}
	if method == http.MethodPost {
		r.Header.Set("Authorization", "Bearer a")
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.Header.Get("Cache-Status"), err
}

// use sends some of everything.
func (s *sidecar) use(t *testing.T) {
	t.Helper()
	for i := range 40 {
		for _, r := range [][2]string{{"GET", "/items/"}, {"GET", "/items/"}} {
			if _, err := s.send(r[0], fmt.Sprint(r[1], i%7)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, r := range [][2]string{
		{"PUT", "/items/1"}, {"GET", "/cookie"}, {"GET", "/elsewhere"}, {"POST", "/generate"},
		{"POST", "/generate"},
	} {
		if _, err := s.send(r[0], r[1]); err != nil {
			t.Fatal(err)
		}
	}
}

// A browser is one tab, with its errors.
type browser struct {
	context.Context
	t      *testing.T
	mu     sync.Mutex
	faults []string
}

func open(t *testing.T) *browser {
	t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox,
		chromedp.Flag("hide-scrollbars", true))
	if path, err := exec.LookPath("chromium"); err == nil {
		options = append(options, chromedp.ExecPath(path))
	}
	all, endAll := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(endAll)
	ctx, end := chromedp.NewContext(all)
	t.Cleanup(end)
	b := &browser{Context: ctx, t: t}
	err := chromedp.Listen(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.faults = append(b.faults, fmt.Sprintf("%+v", e.ExceptionDetails))
		case *cdplog.EventEntryAdded: // also violations of the security policy
			if e.Entry.Level == cdplog.EntryLevelError {
				b.faults = append(b.faults, e.Entry.Text+" "+e.Entry.URL)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	b.do(call(cdplog.Enable, cdp.Empty{}))
	return b
}

// call is a step that calls a method of the protocol.
func call[P any](c cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// do takes steps.
func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b, steps...); err != nil {
		b.t.Fatal(err)
	}
}

// eval is the value of an expression in the page, as JSON would have it.
func (b *browser) eval(expression string) (v any) {
	b.t.Helper()
	v, err := chromedp.Run(b, chromedp.Evaluate[any](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// await waits until an expression is true in the page.
func (b *browser) await(expression string) {
	b.t.Helper()
	var got any
	for end := time.Now().Add(time.Minute); time.Now().
		Before(end); time.Sleep(50 * time.Millisecond) {
		if got = b.eval(expression); got == true {
			return
		}
	}
	b.t.Fatalf("in vain: %s is %v; %q", expression, got, b.eval("document.body.innerText"))
}

// look sets theme and width, and loads the page.
func (b *browser) look(url, theme string, width int64) {
	b.t.Helper()
	b.do(
		call(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
		}),
		chromedp.EmulateViewport(width, 900),
		chromedp.Navigate(url),
	)
	b.await(`["healthy", "degraded"].includes(document.getElementById("state").textContent)`)
}

func (b *browser) shoot(name string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	png, err := chromedp.Run(b, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(*shots, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func (b *browser) signIn() {
	b.t.Helper()
	b.do(chromedp.Focus(chromedp.CSS("#token")), chromedp.KeyEvent(token),
		chromedp.KeyEvent(kb.Enter))
	b.await(`!document.getElementById("administration").hidden && document.querySelectorAll("#policies-table tbody tr").length === 4`)
}

func (b *browser) noFaults() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.faults) > 0 {
		b.t.Errorf("the page has faults: %q", b.faults)
	}
}

// fetchAxe is the text of axe-core, or "" where npm is not to be had.
func fetchAxe(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	pack := exec.CommandContext(t.Context(), "npm", "pack", "--silent", axeCore)
	pack.Dir = dir
	if out, err := pack.CombinedOutput(); err != nil {
		t.Logf("axe-core is not to be had: %v %s", err, out)
		return ""
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if len(files) != 1 {
		t.Fatalf("npm pack left %q", files)
	}
	text, err := exec.CommandContext(t.Context(), "tar", "-xzOf", files[0],
		"package/axe.min.js").Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// audit lets axe-core look at the page as it is.
func (b *browser) audit(axe, what string) {
	b.t.Helper()
	b.eval(axe + "; true")
	found, err := json.Marshal(
		b.eval(`axe.run(document, {resultTypes: ["violations"]}).then((r) => r.violations.map((v) =>
		v.id + ": " + v.help + ": " + v.nodes.map((n) => n.html + " " + n.failureSummary).join("; ")))`))
	if err != nil {
		b.t.Fatal(err)
	}
	if string(found) != "[]" {
		b.t.Errorf("%s: axe-core found %s", what, found)
	}
}

func TestThePageIsReadableInEachThemeAndWidth(t *testing.T) {
	s := start(t)
	s.use(t)
	axe := fetchAxe(t)
	proc.Await(t, time.Minute, func() error { // the history has a bar
		if s.Exited() {
			return fmt.Errorf("the sidecar ended")
		}
		s.use(t)
		return historyOf(s)
	})
	b := open(t)
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{1280, 390} {
			name := fmt.Sprint(theme, "-", width)
			b.do(call(cdppage.SetBypassCSP, cdppage.SetBypassCSPParams{}))
			b.look(s.ops, theme, width)
			b.signIn()
			b.await(`document.querySelectorAll("#requests rect").length > 0`)
			if wide := b.eval("document.documentElement.scrollWidth"); wide != float64(width) {
				t.Errorf("%s: it is %v wide", name, wide)
			}
			want := "rgb(246, 247, 249)"
			if theme == "dark" {
				want = "rgb(17, 21, 27)"
			}
			if got := b.eval("getComputedStyle(document.body).backgroundColor"); got != want {
				t.Errorf("%s: the background is %v", name, got)
			}
			b.shoot(name)
			b.noFaults()
			if axe != "" { // it adds styles, which the page itself may not
				b.do(call(cdppage.SetBypassCSP, cdppage.SetBypassCSPParams{Enabled: true}))
				b.look(s.ops, theme, width)
				b.audit(axe, name)
				b.signIn()
				b.await(`document.querySelectorAll("#jobs-table tbody tr").length > 0`)
				b.audit(axe, name+", signed in")
			}
		}
	}
}

// historyOf is nil when a point of the history has a hit.
func historyOf(s *sidecar) error {
	resp, err := http.Get(s.ops + "/ui/events")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var text bytes.Buffer
	for !bytes.Contains(text.Bytes(), []byte("\n\n")) {
		if _, err := io.CopyN(&text, resp.Body, 1); err != nil {
			return err
		}
	}
	_, data, _ := strings.Cut(text.String(), "data: ")
	var got struct{ History []struct{ Hits int } }
	if err := json.Unmarshal([]byte(data), &got); err != nil {
		return err
	}
	for _, p := range got.History {
		if p.Hits > 0 {
			return nil
		}
	}
	return fmt.Errorf("%d points have no hit", len(got.History))
}

func TestThePageIsLiveAndActsByTheKeyboard(t *testing.T) {
	s := start(t)
	s.use(t)
	b := open(t)
	b.look(s.ops, "light", 1280)
	spared := `document.evaluate("//dt[.='The API was spared']/../dd[1]", document).iterateNext().textContent`
	before := b.eval(spared)
	for range 5 {
		s.use(t)
	}
	b.await(fmt.Sprintf("%s !== %q", spared, before))

	b.do(chromedp.KeyEvent(kb.Tab))
	if got := b.eval("document.activeElement.textContent"); got != "To the numbers" {
		t.Errorf("the first stop is %v", got)
	}
	b.signIn()
	b.await(`document.querySelectorAll('[data-key^="Retry"]').length > 0`)
	b.do(chromedp.Focus(chromedp.CSS(`[data-key^="Retry"]`)), chromedp.KeyEvent(kb.Enter))
	b.await(`/runs at once|does not wait|is running/.test(document.getElementById("said").textContent)`)
	b.await(`document.querySelectorAll('[data-key^="Cancel"]').length > 0`)
	b.do(chromedp.Focus(chromedp.CSS(`[data-key^="Cancel"]`)), chromedp.KeyEvent(kb.Enter))
	b.await(`/once more/.test(document.getElementById("said").textContent)`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.await(`/is canceled/.test(document.getElementById("said").textContent)`)
	b.await(`[...document.querySelectorAll("#jobs-table td")].some((d) => d.textContent === "canceled")`)
	b.noFaults()

	// One that hangs ends no connection.
	s.Signal(syscall.SIGSTOP)
	b.await(`document.getElementById("state").textContent === "offline" && document.title.startsWith("offline") &&
		/has not answered since/.test(document.getElementById("lost").innerText)`)
	b.shoot("lost")
	s.Signal(syscall.SIGCONT)
	b.await(`document.getElementById("lost").hidden && document.getElementById("state").textContent !== "offline"`)
	s.Kill()
	b.await(`document.getElementById("state").textContent === "offline" && !document.getElementById("lost").hidden`)
}

// hostile is a text that would do something if it were taken for markup. No route or queue can have
// such a name; a tag can.
const hostile = `<img src=x onerror="document.title=1"><script>document.title=2</script>`

// Many routes and jobs, long names, and texts with markup: none of it breaks the page, and nothing
// from a client or the API is markup.
func TestThePageHoldsManyRoutesAndHostileTexts(t *testing.T) {
	many := &strings.Builder{}
	many.WriteString(policies)
	for i := range 200 {
		fmt.Fprintf(many,
			"  - {name: %q, match: \"GET /r%d/{id}\", cache: {scope: shared, ttl: 1h, tags: "+
				"[\"r%d:{id}\"]}}\n",
			fmt.Sprintf("inventory_of_all_the_characters_of_a_campaign_of_a_game_master_%03d", i),
			i, i)
	}
	fmt.Fprintf(many,
		"  - {name: markup, match: \"GET /markup/{id}\", cache: {scope: shared, ttl: 1h, tags: [%q]}}\n",
		hostile)
	s := startWith(t, many.String(), "REDIS_EMBEDDED=true")
	s.use(t)
	for i := range 200 {
		if _, err := s.send("GET", fmt.Sprintf("/r%d/%d", i, i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.send("GET", "/markup/1"); err != nil {
		t.Fatal(err)
	}
	for range 98 { // with those of use the 100 that one caller may have
		if _, err := s.send("POST", "/generate"); err != nil {
			t.Fatal(err)
		}
	}
	axe, b := fetchAxe(t), open(t)
	for _, width := range []int64{1280, 390} {
		b.do(call(cdppage.SetBypassCSP, cdppage.SetBypassCSPParams{Enabled: true}))
		b.look(s.ops, "light", width)
		b.do(chromedp.Focus(chromedp.CSS("#token")), chromedp.KeyEvent(token),
			chromedp.KeyEvent(kb.Enter))
		// 50 of many are shown, and more on demand
		b.await(`document.querySelectorAll("#policies-table tbody tr").length === 50`)
		b.await(`document.querySelectorAll("#jobs-table tbody tr").length === 50`)
		b.await(`document.getElementById("jobs-found").textContent === "100, the newest first"`)
		b.do(chromedp.Focus(chromedp.CSS("#jobs-table .more")), chromedp.KeyEvent(kb.Enter))
		b.await(`document.querySelectorAll("#jobs-table tbody tr").length === 100`)
		b.await(`document.querySelectorAll("#route option").length > 200`)
		if wide := b.eval("document.documentElement.scrollWidth"); wide != float64(width) {
			t.Errorf("it is %v wide, and not %d", wide, width)
		}
		if axe != "" {
			b.audit(axe, fmt.Sprint("many at ", width))
		}
		b.shoot(fmt.Sprint("many-", width))
	}
	// The history of one route is chosen by a click in a table, and by the list.
	b.do(chromedp.Focus(chromedp.CSS("#slowest-table button.link")), chromedp.KeyEvent(kb.Enter))
	b.await(`document.getElementById("route").value !== "" &&
		document.querySelector("#times svg").getAttribute("aria-label").includes("a hit of " + document.getElementById("route").value)`)
	b.shoot("one-route")
	if wide := b.eval("document.documentElement.scrollWidth"); wide != 390.0 {
		t.Errorf("with a route of a long name it is %v wide", wide)
	}
	b.do(chromedp.Focus(chromedp.CSS("#filter")), chromedp.KeyEvent("master_077"))
	b.await(`document.querySelectorAll("#policies-table tbody tr").length === 1`)
	b.eval(`document.getElementById("filter").select()`)
	b.do(chromedp.KeyEvent("<img"))
	b.await(`document.querySelector("#policies-table tbody tr").textContent.includes("<img src=x")`)
	if b.eval(`document.querySelectorAll("main img, main script").length`) != 0.0 ||
		b.eval(`["1", "2"].includes(document.title)`) != false {
		t.Error("a text became markup")
	}
	b.noFaults()
}

func TestADegradedSidecarSaysWhy(t *testing.T) {
	s := start(t)
	s.use(t)
	s.api.Close()
	axe, b := fetchAxe(t), open(t)
	b.do(call(cdppage.SetBypassCSP, cdppage.SetBypassCSPParams{Enabled: true}))
	for _, theme := range []string{"light", "dark"} {
		b.look(s.ops, theme, 390)
		if _, err := s.send("GET", "/elsewhere"); err != nil {
			t.Fatal(err)
		}
		b.await(`document.getElementById("state").textContent === "degraded"`)
		b.await(`document.getElementById("reasons").innerText.includes("the API does not answer") &&
			document.getElementById("cards").innerText.includes("is away")`)
		if wide := b.eval("document.documentElement.scrollWidth"); wide != 390.0 {
			t.Errorf("%s: it is %v wide", theme, wide)
		}
		b.shoot("degraded-" + theme)
		if axe != "" {
			b.audit(axe, theme)
		}
	}
}

func TestThePageSaysThatTheAPIAnswersErrorsAlone(t *testing.T) {
	s := start(t)
	b := open(t)
	b.look(s.ops, "light", 390)
	for range 10 {
		if _, err := s.send("GET", "/ill"); err != nil {
			t.Fatal(err)
		}
	}
	b.await(`document.getElementById("state").textContent === "degraded" &&
		document.getElementById("reasons").innerText.includes("the last 10 answers were 5xx") &&
		/The API\s+answers 5xx/.test(document.getElementById("cards").innerText) &&
		document.getElementById("cards").innerText.includes("the last 10 were 5xx, since")`)
	if wide := b.eval("document.documentElement.scrollWidth"); wide != 390.0 {
		t.Errorf("it is %v wide", wide)
	}
	b.shoot("errors")
}

func TestThePageKnowsThatRedisIsAway(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	s := startWith(t, policies, "REDIS_HOST=127.0.0.1", "REDIS_PORT="+port)
	s.use(t)
	b := open(t)
	for _, width := range []int64{1280, 390} {
		b.look(s.ops, "light", width)
		b.await(`document.getElementById("state").textContent === "degraded" &&
			document.getElementById("redis-table").innerText.includes("refused") &&
			/Redis, breaker\s+open/.test(document.getElementById("cards").innerText) &&
			document.getElementById("cards").innerText.includes("the job store is away")`)
		b.do(chromedp.Focus(chromedp.CSS("#token")), chromedp.KeyEvent(token),
			chromedp.KeyEvent(kb.Enter))
		b.await(`document.getElementById("said").textContent.includes("job store does not answer") &&
			document.querySelectorAll("#policies-table tbody tr").length === 4`)
		if wide := b.eval("document.documentElement.scrollWidth"); wide != float64(width) {
			t.Errorf("it is %v wide, and not %d", wide, width)
		}
		b.shoot(fmt.Sprint("redis-", width))
	}
}

func TestAWrongTokenShowsNothing(t *testing.T) {
	s := start(t)
	b := open(t)
	b.look(s.ops, "light", 1280)
	b.do(chromedp.Focus(chromedp.CSS("#token")), chromedp.KeyEvent("another"),
		chromedp.KeyEvent(kb.Enter))
	b.await(`document.getElementById("said").textContent.includes("ADMIN_TOKEN")`)
	if b.eval(`document.getElementById("administration").hidden`) != true {
		t.Error("it is shown")
	}
}
