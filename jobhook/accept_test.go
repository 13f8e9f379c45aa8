package jobhook

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sidecar/internal/jobs"
	"sidecar/internal/peek"
	"sidecar/internal/reason"
	"sidecar/test/redisd"
)

func TestAPOSTBecomesAJob(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	a := f.ask("POST", "/craft", "a sword", alice)
	var doc acceptedDocument
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	if a.status != http.StatusAccepted || !jobs.ValidID(doc.JobID) || doc.Status != jobs.Queued ||
		doc.StatusURL != "/_jobs/"+doc.JobID {
		t.Errorf("%d %+v", a.status, doc)
	}
	for name, want := range map[string]string{
		"Location": doc.StatusURL, "Retry-After": "1", "Content-Type": "application/json",
		"Cache-Control": "no-store",
		"Cache-Status":  "sidecar; detail=" + string(reason.Queued),
	} {
		if got := a.fields.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestTheSameIdempotencyKeyIsTheSameJobAndWithAnotherBodyNone(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	first := f.accept(alice, "Idempotency-Key: k1")
	if again := f.accept(alice, "Idempotency-Key: k1"); again != first {
		t.Errorf("%s and %s", first, again)
	}
	if other := f.accept(bob, "Idempotency-Key: k1"); other == first {
		t.Error("bob was given alice's job")
	}
	if a, b := f.accept("Idempotency-Key: k1"), f.accept("Idempotency-Key: k1"); a == b {
		t.Error("two clients without credentials share a job")
	}
	a := f.ask("POST", "/craft", "a shield", alice, "Idempotency-Key: k1")
	if a.status != http.StatusUnprocessableEntity ||
		a.fields.Get("Content-Type") != "application/problem+json" ||
		a.fields.Get("Location") != "" {
		t.Errorf("%d %v %s", a.status, a.fields, a.body)
	}
}

func TestWhatBecomesNoJobIsSentOnWhole(t *testing.T) {
	long := strings.Repeat("x", 33)
	for _, c := range []struct {
		name, path, body string
		fields           []string
		why              reason.Reason
	}{
		{"no job route", "/other", "a sword", nil, reason.NoRoute},
		{"a body over max_body", "/craft", long, nil, reason.JobBodyTooBig},
		{"somebody who cannot be told from others", "/craft", "a sword",
			[]string{"X-Forwarded-User: alice"}, reason.UndeclaredCaller},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFront(t, shared, nil, nil)
			if a := f.ask("POST", c.path, c.body, c.fields...); a.status != http.StatusTeapot ||
				f.why != c.why || f.passed != c.body {
				t.Errorf("%d, because of %q, with %q", a.status, f.why, f.passed)
			}
		})
	}
}

func TestABodyOfUnknownLengthIsBoundedToo(t *testing.T) {
	for n, status := range map[int]int{32: http.StatusAccepted, 33: http.StatusTeapot} {
		f := newFront(t, shared, nil, nil)
		r, err := http.NewRequestWithContext(t.Context(), "POST", f.url+"/craft",
			struct{ *strings.Reader }{strings.NewReader(strings.Repeat("x", n))})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status || status == http.StatusTeapot && len(f.passed) != n {
			t.Errorf("%d bytes: %d, %d are sent on", n, resp.StatusCode, len(f.passed))
		}
	}
}

func TestABodyThatBreaksOffIsNoJob(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "POST /craft HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\nhalf")
	_ = conn.(*net.TCPConn).CloseWrite()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusTeapot || f.why != reason.Incomplete || f.passed != "half" {
		t.Errorf("%d, because of %q, with %q", resp.StatusCode, f.why, f.passed)
	}
}

func TestAWithdrawnJobIsSentOnWithItsIDAsKey(t *testing.T) {
	for name, key := range map[string]string{"without a key": "", "with the client's": "k1"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := redisd.Start(t)
			f := newFront(t, redis, nil, nil)
			f.accept(alice) // a connection and the scripts are there
			f.awaitOperation("job-confirm")
			f.budget = 200 * time.Millisecond
			redis.Freeze()
			time.AfterFunc(time.Second, redis.Thaw)
			fields := []string{alice}
			if key != "" {
				fields = append(fields, "Idempotency-Key: "+key)
			}
			a := f.ask("POST", "/craft", "a sword", fields...)
			got := f.fields.Get(idempotencyKey)
			if a.status != http.StatusTeapot || f.passed != "a sword" {
				t.Fatalf("%d with %q", a.status, f.passed)
			}
			if key != "" && got != key || key == "" && !jobs.ValidID(got) {
				t.Errorf("the API gets the key %q", got)
			}
		})
	}
}

func TestWithoutAJobStoreThePOSTIsSentOn(t *testing.T) {
	redis := redisd.Start(t)
	f := newFront(t, redis, nil, nil)
	redis.Kill()
	if a := f.ask("POST", "/craft", "a sword", alice); a.status != http.StatusTeapot ||
		f.why != reason.JobStoreAway || f.passed != "a sword" {
		t.Errorf("%d, because of %q, with %q", a.status, f.why, f.passed)
	}
	if f.fields[idempotencyKey] != nil {
		t.Errorf("a key is made up: %q", f.fields[idempotencyKey])
	}
}

func TestACapturedRequestIsWhatTheClientSentLessItsConnection(t *testing.T) {
	r := &http.Request{
		Method: "POST", Proto: "HTTP/1.1", RequestURI: "http://api.example/craft?a=%zz",
		Host: "api.example", RemoteAddr: "192.0.2.1:1",
		Header: http.Header{
			"Connection": {"close, X-Hop"}, "X-Hop": {"1"}, "Keep-Alive": {"1"}, "Te": {"trailers"},
			"Content-Length": {"7"},
			"Expect":         {"100-continue"}, "Trailer": {"X-Sum"},
			"Prefer": {`respond-async, wait=5, return=minimal`},
			"Accept": {"a", "b"}, "Authorization": {"alice"},
		},
		Trailer: http.Header{"X-Sum": {"9"}},
	}
	got := capture(r, []byte("a sword"))
	want := http.Header{
		"Accept": {"a", "b"}, "Authorization": {"alice"}, "Prefer": {"return=minimal"},
	}
	if fmt.Sprint(got.Fields) != fmt.Sprint(want) {
		t.Errorf("the fields are %v, want %v", got.Fields, want)
	}
	if got.Target != "/craft?a=%zz" || got.Host != "api.example" ||
		got.Trailer.Get("X-Sum") != "9" || string(got.Body) != "a sword" {
		t.Errorf("%+v", got)
	}
	if len(r.Header) != 10 {
		t.Errorf("the request itself was changed: %v", r.Header)
	}
}

func TestPreferencesForTheQueueEndHere(t *testing.T) {
	for sent, want := range map[string]string{
		"respond-async":             "",
		"Respond-Async, WAIT=10":    "",
		"wait = 10":                 "",
		"return=minimal":            "return=minimal",
		"respond-async; a=b, foo":   "foo",
		`foo="respond-async, wait"`: `foo="respond-async, wait"`,
		`foo="unterminated`:         "",
		"respond-asyncx, x-wait=1":  "respond-asyncx, x-wait=1",
	} {
		if got := strings.Join(withoutQueueing([]string{sent}), ", "); got != want {
			t.Errorf("%s: %q, want %q", sent, got, want)
		}
	}
}

// A body that stalls is let go: there is no job, and the backend gets it as it comes.
func TestABodyThatStallsIsNoJob(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	f.Bodies = peek.NewRoom(1<<20, 20*time.Millisecond)
	body, rest := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.url+"/craft", body)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.WriteString(rest, "the beginning")
		time.Sleep(300 * time.Millisecond) // a client that is slow
		_, _ = io.WriteString(rest, " and the end")
		_ = rest.Close()
	}()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if f.why != reason.JobBodyLate || f.passed != "the beginning and the end" {
		t.Errorf("%q %q, status %d", f.why, f.passed, resp.StatusCode)
	}
}
