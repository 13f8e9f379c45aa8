package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sidecar/test/redisd"
)

// A documents is a backend with one document and its ETag for each path. It records the requests.
type documents struct {
	*httptest.Server
	mu      sync.Mutex
	version map[string]int
	asked   []string // method, path, and the conditions of each request
	fields  http.Header
	whole   bool // it does not look at conditions
	fail    int  // a status to answer with; -1: it hangs up
}

func newDocuments(t *testing.T, fields ...string) *documents {
	d := &documents{version: map[string]int{}, fields: http.Header{}}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		d.fields.Add(name, value)
	}
	d.Server = httptest.NewServer(d)
	t.Cleanup(d.Close)
	return d
}

func (d *documents) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, fmt.Sprint(r.Method, " ", r.URL.Path, " ",
		r.Header.Get("If-None-Match"), r.Header.Get("If-Modified-Since")))
	switch {
	case d.fail < 0:
		panic(http.ErrAbortHandler)
	case d.fail > 0:
		http.Error(w, "broken", d.fail)
		return
	case r.Method == http.MethodPut:
		d.version[r.URL.Path]++
		return
	}
	for name, values := range d.fields {
		w.Header()[name] = values
	}
	lang := r.Header.Get("Accept-Language")
	etag := fmt.Sprintf(`"%s%d"`, lang, d.version[r.URL.Path])
	if lang == "de-at" { // whose readers take the other too
		etag = fmt.Sprintf(`"de%d"`, d.version[r.URL.Path])
	}
	w.Header().Set("Etag", etag)
	w.Header().Set("X-Answer", fmt.Sprint(len(d.asked)))
	for tag := range strings.SplitSeq(r.Header.Get("If-None-Match"), ", ") {
		if tag == etag && !d.whole {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	body := fmt.Sprintf("%s is %s", r.URL.Path, etag)
	w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	_, _ = io.WriteString(w, body)
}

// set changes the backend's behaviour.
func (d *documents) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// new is the list of requests since the last call.
func (d *documents) new() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	asked := strings.Join(d.asked, ", ")
	d.asked = nil
	return asked
}

const documentPolicies = `version: 1
caller: {max_age: 3s}
routes:
  - {name: tagged, match: "GET /tagged/{id}", cache: {scope: shared, ttl: 1h, tags: ["doc:{id}"]}}
  - {name: write, match: "PUT /tagged/{id}", invalidate: ["doc:{id}"]}
  - {name: plain, match: "GET /plain/{id}", cache: {scope: shared}}
  - {name: behind, match: "GET /behind/{id}", cache: {scope: shared, ttl: 1s, stale_while_revalidate: 1h, tags: ["doc:{id}"]}}
  - {name: behind_write, match: "PUT /behind/{id}", invalidate: ["doc:{id}"]}
  - {name: error, match: "GET /error/{id}", cache: {scope: shared, ttl: 1s, stale_if_error: 1h, tags: ["doc:{id}"]}}
  - {name: error_write, match: "PUT /error/{id}", invalidate: ["doc:{id}"]}
  - {name: private, match: "GET /private/{id}", cache: {scope: private, ttl: 1s, stale_if_error: 1h}}
`

// A response that a write made old is validated by its ETag: where the write changed something
// else, the body need not come again; where it did not, it comes.
func TestWhatAWriteMadeOldIsAskedAbout(t *testing.T) {
	t.Parallel()
	d := newDocuments(t, "Last-Modified: "+time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
	s := startBefore(t, d.URL, policiesFile(t, documentPolicies))
	url := s.url + "/tagged/1"
	awaitHit(t, url)
	d.new()
	do(t, http.MethodPut, s.url+"/tagged/1", "x", sameHost)
	if a := do(t, http.MethodGet, url, nil); string(a.body) != `/tagged/1 is "1"` || a.hit() {
		t.Errorf("after the write: %q %q", a.body, a.cache())
	}
	if got, want := d.new(), `PUT /tagged/1 , GET /tagged/1 "0"`; got != want {
		t.Errorf("the backend was asked %q, want %q: by ETag, and not by Last-Modified", got, want)
	}
	awaitHit(t, url)
	d.new()
	do(t, http.MethodPut, s.url+"/tagged/1", "x", sameHost)
	d.set(func() { d.version["/tagged/1"]-- }) // it changed something else
	a := do(t, http.MethodGet, url, nil)
	if string(a.body) != `/tagged/1 is "1"` ||
		!containsAll(a.cache(), "fwd=miss", "fwd-status=304", "stored") ||
		a.fields.Get("Age") != "" {
		t.Errorf("after a write that changed nothing: %q %q", a.body, a.fields)
	}
	if got, want := d.new(), `PUT /tagged/1 , GET /tagged/1 "1"`; got != want {
		t.Errorf("the backend was asked %q, want %q", got, want)
	}
	awaitHit(t, url)
	if a := do(t, http.MethodGet, url, nil); a.fields.Get("X-Answer") == "1" {
		t.Errorf("the fields are not those of the 304: %q", a.fields)
	}
}

// A write between a look-up and its fill makes the response found old, too: it must not be
// validated by a time in seconds.
func TestAWriteBetweenLookUpAndFillIsNoticed(t *testing.T) {
	t.Parallel()
	modified := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat) // of every version
	var version atomic.Int64
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			version.Add(1)
			return
		}
		w.Header().Set("Last-Modified", modified)
		if r.Header.Get("If-Modified-Since") == modified {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		fmt.Fprintf(w, "version %d", version.Load())
	}))
	t.Cleanup(b.Close)
	r := redisd.Start(t)
	policies := policiesFile(t, documentPolicies)
	var slow atomic.Pointer[string]
	s, other := &stack{t: t, redis: r}, &stack{t: t, redis: r}
	s.sidecar, s.url, s.ops = startSidecar(t, b.URL, slowed(t, r.Addr(), &slow, 2*time.Second),
		policies, "REDIS_TIMEOUT=10s")
	other.sidecar, other.url, other.ops = startSidecar(t, b.URL, r.Addr(), policies,
		"REDIS_TIMEOUT=10s")
	s.awaitCaching()
	other.awaitCaching()
	awaitThat(t, "there is a hit", func() bool { return s.get("/error/1").hit() })
	awaitStale(t, s.url+"/error/1", sameHost)
	before := version.Load()
	if a := s.get("/error/1"); !containsAll(a.cache(), "fwd=stale", "fwd-status=304") {
		t.Fatalf("it is not validated: %q", a.cache())
	}
	awaitStale(t, s.url+"/error/1", sameHost)

	open := "evalsha"
	m := watch(t, r)
	slow.Store(&open)
	answered := make(chan answer, 1)
	go func() { answered <- s.get("/error/1") }()
	awaitThat(t, "it is looked up", func() bool { return slices.Contains(m.names(t, r), "mget") })
	if a := do(t, http.MethodPut, other.url+"/error/1", "x", sameHost); a.status != http.StatusOK ||
		len(answered) > 0 {
		t.Fatalf("the write came too late: %d", a.status)
	}
	<-answered // it began before the write was acknowledged: it may be of either version
	none := ""
	slow.Store(&none)
	if a := s.get("/error/1"); string(a.body) != fmt.Sprintf("version %d", before+1) {
		t.Errorf("after the write: %q %q", a.body, a.cache())
	}
}

// Stored variants are named to the backend, which may choose one of them.
func TestTheBackendPicksAStoredVariant(t *testing.T) {
	t.Parallel()
	d := newDocuments(t, "Cache-Control: max-age=3600", "Vary: Accept-Language")
	s := startBefore(t, d.URL, policiesFile(t, documentPolicies))
	url := s.url + "/plain/1"
	for _, lang := range []string{"en", "de"} {
		awaitThat(t, lang+" is a hit",
			func() bool { return do(t, http.MethodGet, url, nil, "Accept-Language: "+lang).hit() })
	}
	d.new()
	a := do(t, http.MethodGet, url, nil, "Accept-Language: de-at")
	if string(a.body) != `/plain/1 is "de0"` ||
		!containsAll(a.cache(), "fwd=vary-miss", "fwd-status=304") {
		t.Errorf("%q %q", a.body, a.cache())
	}
	if got, want := d.new(), `GET /plain/1 "de0", "en0"`; got != want {
		t.Errorf("the backend was asked %q, want %q", got, want)
	}
	for lang, tag := range map[string]string{"en": "en0", "de": "de0", "de-at": "de0"} {
		awaitThat(t, lang+" is a hit", func() bool {
			a := do(t, http.MethodGet, url, nil, "Accept-Language: "+lang)
			return a.hit() && strings.Contains(string(a.body), tag)
		})
	}
	if a := do(t, http.MethodGet, url, nil,
		"Accept-Language: fr"); string(a.body) != `/plain/1 is "fr0"` {
		t.Errorf("what none of them is: %q", a.body)
	}
}

// awaitStale waits until the stored response for url is stale: until a request for a fresh stored
// response gets none.
func awaitStale(t *testing.T, url string, fields ...string) {
	t.Helper()
	awaitThat(t, url+" is stale", func() bool {
		a := do(t, http.MethodGet, url, nil,
			append(fields, "Cache-Control: only-if-cached, min-fresh=0")...)
		return a.status == http.StatusGatewayTimeout
	})
}

func TestStaleAnswersAreServedWhileTheyAreRefreshedAndNeverAfterAWrite(t *testing.T) {
	t.Parallel()
	d := newDocuments(t)
	s := startBefore(t, d.URL, policiesFile(t, documentPolicies))
	url := s.url + "/behind/1"
	awaitHit(t, url)
	awaitStale(t, url)
	d.new()
	d.set(func() { d.version["/behind/1"]++ }) // past the sidecar
	a := do(t, http.MethodGet, url, nil)
	if string(a.body) != `/behind/1 is "0"` || !containsAll(a.cache(), "hit", "ttl=-") ||
		a.fields.Get("Age") == "" {
		t.Errorf("%q %q", a.body, a.fields)
	}
	awaitThat(t, "it is refreshed", func() bool {
		return strings.Contains(string(do(t, http.MethodGet, url, nil).body), `"1"`)
	})
	if got, want := d.new(), `GET /behind/1 "0"`; got != want {
		t.Errorf("the backend was asked %q, want once %q", got, want)
	}
	awaitStale(t, url)
	do(t, http.MethodPut, s.url+"/behind/1", "x", sameHost)
	if a := do(t, http.MethodGet, url, nil); string(a.body) != `/behind/1 is "2"` {
		t.Errorf("after the write: %q %q", a.body, a.cache())
	}
}

func TestStaleAnswersStandInForABackendThatFailsAndNeverAfterAWrite(t *testing.T) {
	t.Parallel()
	d := newDocuments(t)
	s := startBefore(t, d.URL, policiesFile(t, documentPolicies))
	for _, id := range []string{"1", "2"} {
		awaitHit(t, s.url+"/error/"+id)
	}
	awaitStale(t, s.url+"/error/1")
	awaitStale(t, s.url+"/error/2")
	do(t, http.MethodPut, s.url+"/error/2", "x", sameHost)
	for _, fail := range []struct {
		status int
		detail string
	}{{500, "detail=backend-error"}, {503, "fwd-status=503"}, {-1, "detail=backend-unreachable"}} {
		d.set(func() { d.fail = fail.status })
		if a := do(t, http.MethodGet, s.url+"/error/1", nil); a.status != 200 ||
			string(a.body) != `/error/1 is "0"` ||
			!containsAll(a.cache(), "fwd=stale", fail.detail) {
			t.Errorf("%d: %d %q %q", fail.status, a.status, a.body, a.cache())
		}
		if a := do(t, http.MethodGet, s.url+"/error/2", nil); a.status < 500 {
			t.Errorf("%d, after the write: %d %q %q", fail.status, a.status, a.body, a.cache())
		}
		if a := do(t, http.MethodGet, s.url+"/error/1", nil,
			"Cache-Control: no-cache"); a.status < 500 {
			t.Errorf("%d, where nothing stale is wanted: %d %q", fail.status, a.status, a.body)
		}
	}
	d.set(func() { d.fail = 0 })
	if a := do(t, http.MethodGet, s.url+"/error/1", nil); a.status != 200 ||
		!containsAll(a.cache(), "fwd-status=304") {
		t.Errorf("afterwards: %d %q", a.status, a.cache())
	}
}

// Nothing that was filled with credentials that nobody verified is used beyond max_age, not even in
// the place of an error.
func TestStaleAnswersEndWithTheirCaller(t *testing.T) {
	t.Parallel()
	d := newDocuments(t)
	s := startBefore(t, d.URL, policiesFile(t, documentPolicies))
	url, who := s.url+"/private/1", "Authorization: Bearer opaque"
	awaitThat(t, "there is a hit",
		func() bool { return do(t, http.MethodGet, url, nil, who).hit() })
	began := time.Now()
	awaitStale(t, url, who)
	d.set(func() { d.fail = 503 })
	if a := do(t, http.MethodGet, url, nil, who); a.status != 200 &&
		time.Since(began) < 2*time.Second {
		t.Fatalf("%d %q", a.status, a.cache())
	}
	awaitThat(t, "max_age is over", func() bool {
		age := time.Since(began) // at the least
		a := do(t, http.MethodGet, url, nil, who)
		if a.status == http.StatusOK && age > 3*time.Second {
			t.Fatalf("it is served after %v: %q", age, a.cache())
		}
		return a.status == http.StatusServiceUnavailable
	})
}

// The fields of an answer to a HEAD update the stored answer to a GET (RFC 9111 §4.3.5).
func TestAHeadBringsWhatIsStoredUpToDateOrDropsIt(t *testing.T) {
	t.Parallel()
	d := newDocuments(t, "Cache-Control: max-age=3600")
	s := startBefore(t, d.URL, policiesFile(t, documentPolicies))
	url := s.url + "/plain/1"
	awaitHit(t, url)
	for i, whole := range []bool{true, false} { // as a 200, and as a 304
		news := fmt.Sprint("news ", i)
		d.set(func() { d.whole = whole; d.fields.Set("X-News", news) })
		if a := do(t, http.MethodHead, url, nil, "Cache-Control: no-cache"); a.status != 200 ||
			a.fields.Get("X-News") != news || a.fields.Get("Content-Length") != "15" {
			t.Fatalf("HEAD: %d %q", a.status, a.fields)
		}
		awaitThat(t, "the stored answer has the new field", func() bool {
			a := do(t, http.MethodGet, url, nil)
			return a.hit() && a.fields.Get("X-News") == news && string(a.body) == `/plain/1 is "0"`
		})
	}
	d.set(func() { d.version["/plain/1"]++ })
	if a := do(t, http.MethodHead, url, nil,
		"Cache-Control: no-cache"); a.fields.Get("Etag") != `"1"` {
		t.Fatalf("HEAD of what has changed: %q", a.fields)
	}
	if a := do(t, http.MethodGet, url, nil); a.hit() || string(a.body) != `/plain/1 is "1"` {
		t.Errorf("GET after it: %q %q", a.cache(), a.body)
	}
}

// Parts are stored, answer ranges that lie within them, and are put together (RFC 9111 §3.3, §3.4).
func TestPartsAreStoredAndPutTogether(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 10)
	var asked, version atomic.Int64
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Etag", fmt.Sprintf(`"v%d"`, version.Load()))
		w.Header().Set("Cache-Control", "max-age=3600")
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(content))
	}))
	t.Cleanup(b.Close)
	s := startBefore(t, b.URL, policiesFile(t, documentPolicies))
	part := func(path, ranges string, stored bool) answer {
		t.Helper()
		a := do(t, http.MethodGet, s.url+path, nil, "Range: bytes="+ranges)
		from, to := 0, 0
		_, _ = fmt.Sscanf(ranges, "%d-%d", &from, &to)
		if a.status != 206 || string(a.body) != content[from:to+1] ||
			a.fields.Get("Content-Range") != fmt.Sprintf("bytes %s/100", ranges) ||
			a.hit() != stored {
			t.Errorf("%s of %s: %d %q %q", ranges, path, a.status, a.fields, a.body)
		}
		return a
	}
	part("/plain/1", "20-39", false)
	part("/plain/1", "20-39", true)
	part("/plain/1", "25-29", true)
	part("/plain/1", "40-59", false) // goes on where the first ends
	part("/plain/1", "25-55", true)
	part("/plain/1", "0-29", false) // overlaps
	part("/plain/1", "0-59", true)
	before := asked.Load()
	if a := do(t, http.MethodGet, s.url+"/plain/1", nil, "Range: bytes=10-19",
		`If-Range: "v0"`); a.status != 206 || !a.hit() {
		t.Errorf("If-Range: %d %q", a.status, a.cache())
	}
	if a := do(t, http.MethodGet, s.url+"/plain/1", nil, "Range: bytes=10-19",
		`If-None-Match: "v0"`); a.status != 304 || !a.hit() {
		t.Errorf("If-None-Match: %d %q", a.status, a.cache())
	}
	if n := asked.Load(); n != before {
		t.Errorf("the backend was asked %d times", n-before)
	}
	part("/plain/1", "60-99", false) // and now it is the whole
	if a := do(t, http.MethodGet, s.url+"/plain/1", nil); !a.hit() || a.status != 200 ||
		string(a.body) != content || a.fields.Get("Content-Range") != "" {
		t.Errorf("the whole: %d %q %q", a.status, a.fields, a.body)
	}

	part("/plain/2", "0-9", false)
	if a := do(t, http.MethodGet, s.url+"/plain/2", nil); a.hit() || a.status != 200 ||
		string(a.body) != content {
		t.Errorf("the whole, of which a part is stored: %d %q", a.status, a.cache())
	}
	part("/plain/2", "90-99", true)

	part("/plain/3", "0-9", false)
	version.Add(1)
	part("/plain/3", "10-19", false) // of something else by now
	part("/plain/3", "10-19", true)
	part("/plain/3", "0-9", false)
	part("/plain/3", "0-19", true)
}

// A part that is confirmed is the part that it was; one that is too long for one record is not
// stored.
func TestAPartThatIsConfirmedStaysAPartAndALongOneIsNotStored(t *testing.T) {
	t.Parallel()
	content := strings.Repeat("0123456789", 300<<10) // 3 MB
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Etag", `"v"`)
		w.Header().Set("Cache-Control", "max-age=1")
		if r.Header.Get("If-None-Match") != "" {
			w.Header().Set("Cache-Control", "max-age=3600")
		}
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader(content))
	}))
	t.Cleanup(b.Close)
	s := startBefore(t, b.URL, policiesFile(t,
		"version: 1\nroutes:\n  - {match: GET /, cache: {scope: shared, max_body: 64MiB}}\n"))
	get := func(path, ranges string) answer {
		t.Helper()
		return do(t, http.MethodGet, s.url+path, nil, "Range: bytes="+ranges)
	}
	get("/part", "0-9")
	awaitThat(t, "the part is confirmed",
		func() bool { return containsAll(get("/part", "2-4").cache(), "fwd-status=304") })
	if a := get("/part", "5-9"); !a.hit() || a.status != 206 || string(a.body) != "56789" {
		t.Errorf("within it: %d %q %q", a.status, a.cache(), a.body)
	}
	if a := get("/part", "-5"); a.hit() || a.status != 206 || string(a.body) != "56789" ||
		a.fields.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d",
			len(content)-5, len(content)-1, len(content)) {
		t.Errorf("the end of the whole: %d %q %q %q",
			a.status, a.cache(), a.fields.Get("Content-Range"), a.body)
	}
	if a := get("/long", "1-"); a.status != 206 || len(a.body) != len(content)-1 ||
		!containsAll(a.cache(), "detail=too-large") {
		t.Errorf("a long part: %d, %d bytes, %q", a.status, len(a.body), a.cache())
	}
}
