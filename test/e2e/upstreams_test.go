package e2e

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"sidecar/test/origin"
)

// everything is a policies file under which every GET may be stored.
const everything = "version: 1\nroutes:\n  - {match: GET /, cache: {scope: shared}}\n"

// An odd answer is an origin's answer, and the answer that a client gets for it.
type odd struct {
	name, method, answer string
	ends                 bool // the origin then ends the connection
	status               int
	body                 string
	stored               bool // the second one comes from the store
	apart                bool // the connection carries nothing after it
}

const aMinute = "Cache-Control: max-age=60\r\n"

var oddAnswers = []odd{
	{"of HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\n" + aMinute + "\r\nhello", true, 200,
		"hello", true, true},
	{"that ends with the connection", "GET", "HTTP/1.1 200 OK\r\n" + aMinute + "\r\nhello", true,
		200, "hello", true, true},
	{"in a coding that nobody knows", "GET",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: foo\r\n" + aMinute + "\r\nhello", true, 200,
		"hello", true, true},
	{"in the coding identity", "GET",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 2\r\n" + aMinute +
			"\r\nhello", true, 200, "hello", false, true},
	{"in a coding that was not asked for", "GET",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n" + aMinute + "\r\n0\r\n\r\n",
		false, 502, "", false, true},
	{"with two framings", "GET",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n" + aMinute +
			"\r\n5\r\nhello\r\n0\r\n\r\n", false, 200, "hello", false, true},
	{"chunked, of HTTP/1.0", "GET",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n" + aMinute +
			"\r\n5\r\nhello\r\n0\r\n\r\n", false, 200, "hello", false, true},
	{"with two lengths", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n" +
		aMinute + "\r\nhello!", false, 502, "", false, true},
	{"with one length twice", "GET",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n" + aMinute + "\r\nhello",
		false, 200, "hello", true, false},
	{"with folded lines", "GET",
		"HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\nCache-Control: public,\r\n\tmax-age=60\r\n" +
			"\r\nhello", false, 200, "hello", true, false},
	{"with white space before colons", "GET",
		"HTTP/1.1 200 OK\r\nContent-Length : 5\r\nCache-Control\t: max-age=60\r\n\r\nhello", false,
		200, "hello", true, false},
	{"with bare LFs", "GET",
		"HTTP/1.1 200 OK\nContent-Length: 5\nCache-Control: max-age=60\n\nhello", false, 200,
		"hello", true, false},
	{"without a reason", "GET", "HTTP/1.1 200\r\nContent-Length: 5\r\n" + aMinute + "\r\nhello",
		false, 200, "hello", true, false},
	{"with a bare CR", "GET", "HTTP/1.1 200 OK\r\nX-A: 1\rX-B: 2\r\nContent-Length: 5\r\n" +
		aMinute + "\r\nhello", false, 502, "", false, true},
	{"of 204 with a body", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
		false, 204, "", false, true},
	{"of 304 with a body", "GET", "HTTP/1.1 304 Not Modified\r\nEtag: \"x\"\r\n\r\nhello", false,
		304, "", false, true},
	{"to a HEAD with a body", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false,
		200, "", false, true},
	{"with more than its length", "GET",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + aMinute +
			"\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", false, 200,
		"hello", true, true},
	{"with too many fields", "GET",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("X-A: 1\r\n", 1001) +
			"Content-Length: 5\r\n\r\nhello", false, 502, "", false, true},
	{"with too much of a field", "GET",
		"HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 1<<20) +
			"\r\nContent-Length: 5\r\n\r\nhello", false, 502, "", false, true},
	{"after too many informational ones", "GET",
		strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 101) +
			"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", false, 502, "", false, true},
	{"after an unasked switch of protocols", "GET",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", false,
		502, "", false, true},
}

func TestOddAnswersAreReadByTheRulesOrNotAtAll(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	came := map[string]*origin.Conn{}
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		mu.Lock()
		came[r.Target] = c
		mu.Unlock()
		for _, a := range oddAnswers {
			if r.Target == target(a) {
				_, _ = c.WriteString(a.answer)
				if a.ends {
					_ = c.Close()
				}
				return
			}
		}
		_, _ = c.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nafter")
	})
	on := func(target string) *origin.Conn {
		mu.Lock()
		defer mu.Unlock()
		return came[target]
	}
	s := startBefore(t, o.URL(), policiesFile(t, everything))
	for _, a := range oddAnswers {
		t.Run(a.name, func(t *testing.T) {
			got := final(t, s.url, a.method, target(a))
			if got.status != a.status || a.status != http.StatusBadGateway &&
				string(got.body) != a.body || got.hit() {
				t.Errorf("%d %.80q, %s", got.status, got.body, got.cache())
			}
			if a.status == http.StatusBadGateway &&
				(got.fields.Get("Content-Type") != "application/problem+json" ||
					got.cache() == "") {
				t.Errorf("%v %s", got.fields, got.body)
			}
			first := on(target(a))
			if after := final(t, s.url, "GET", target(a)+"/after"); string(after.body) != "after" {
				t.Errorf("the next request gets %d %q", after.status, after.body)
			}
			if (on(target(a)+"/after") != first) != a.apart {
				t.Errorf("its connection is left: %v", !a.apart)
			}
			again := final(t, s.url, a.method, target(a))
			if again.status != a.status || a.status != http.StatusBadGateway &&
				string(again.body) != a.body || again.hit() != a.stored {
				t.Errorf("again: %d %.80q, %s", again.status, again.body, again.cache())
			}
		})
	}
}

func target(a odd) string { return "/" + strings.ReplaceAll(a.name, " ", "-") }

// final is the answer to a request on a connection of its own. Informational ones before it are
// passed over.
func final(t *testing.T, base, method, target string) answer {
	t.Helper()
	// An HTTP/1.0 client gets no informational answers.
	resp := raw(t, base, method, method+" "+target+" HTTP/1.0\r\nHost: a\r\n\r\n")
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s: %v", target, err)
	}
	return answer{resp.StatusCode, resp.Header, body}
}

func TestInformationalFloodEndsForTheClientToo(t *testing.T) {
	t.Parallel()
	o := origin.Start(t, func(c *origin.Conn, _ *origin.Request) {
		_, err := c.WriteString("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
		for err == nil {
			_, err = c.WriteString("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
		}
	})
	s := startBefore(t, o.URL(), policiesFile(t, nothing))
	a := do(t, http.MethodGet, s.url+"/", nil)
	if a.status != http.StatusBadGateway || a.fields.Get("Link") != "" ||
		a.fields.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v", a.status, a.fields)
	}
}

func TestWhatEndsEarlyIsNeverStoredAndNeverLooksComplete(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"/length": "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n" + aMinute + "\r\nhello",
		"/chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" +
			aMinute + "\r\n6\r\nhello",
		"/last-chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + aMinute +
			"\r\n5\r\nhello\r\n",
		"/trailers": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + aMinute +
			"\r\n5\r\nhello\r\n0\r\nX-A: 1\r\n",
		"/bad-chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + aMinute +
			"\r\n5\r\nhello\r\nxyz\r\n",
		"/bad-end": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + aMinute +
			"\r\n5\r\nhello0\r\n\r\n",
	}
	var mu sync.Mutex
	var asked []string
	o := origin.Start(t, func(c *origin.Conn, r *origin.Request) {
		mu.Lock()
		asked = append(asked, r.Target)
		mu.Unlock()
		_, _ = c.WriteString(answers[r.Target])
		_ = c.Close()
	})
	s := startBefore(t, o.URL(), policiesFile(t, everything))
	for path := range answers {
		for n := 1; n <= 2; n++ {
			resp := raw(t, s.url, "GET", "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
			body, err := io.ReadAll(resp.Body)
			if err == nil {
				t.Errorf("%s: %d %q arrives as complete, %q",
					path, resp.StatusCode, body, resp.Header.Get("Cache-Status"))
			}
			mu.Lock()
			if got := len(slices.DeleteFunc(slices.Clone(asked),
				func(target string) bool { return target != path })); got != n {
				t.Errorf("%s: the backend is asked %d times for %d requests", path, got, n)
			}
			mu.Unlock()
		}
	}
}
