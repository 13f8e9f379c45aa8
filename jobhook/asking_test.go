package jobhook

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"sidecar/test/proc"
)

// An answer is a client's view of a response.
type answer struct {
	status int
	fields http.Header
	body   string
}

// ask sends a request; fields are "Name: value".
func (f *front) ask(method, path, body string, fields ...string) answer {
	f.t.Helper()
	r, err := http.NewRequestWithContext(f.t.Context(), method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for _, line := range fields {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	delete(resp.Header, "Date")
	return answer{resp.StatusCode, resp.Header, string(got)}
}

const alice, bob = "Authorization: alice", "Authorization: bob"

// accept posts a job and wants it accepted.
func (f *front) accept(fields ...string) (path string) {
	f.t.Helper()
	a := f.ask("POST", "/craft", "a sword", fields...)
	if a.status != http.StatusAccepted {
		f.t.Fatalf("%d %s", a.status, a.body)
	}
	return a.fields.Get("Location")
}

// await waits until the job that lies at path is over.
func (f *front) await(path string, fields ...string) (doc statusDocument) {
	f.t.Helper()
	proc.Await(f.t, 20*time.Second, func() error {
		a := f.ask("GET", path, "", fields...)
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil || !doc.Status.Final() {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		return nil
	})
	return doc
}

// awaitOperation waits until there was one of that name.
func (f *front) awaitOperation(name string) {
	f.t.Helper()
	proc.Await(f.t, 20*time.Second, func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !slices.Contains(f.ops, name) {
			return fmt.Errorf("no %s yet", name)
		}
		return nil
	})
}

// operations are those of Redis while do runs.
func (f *front) operations(do func()) []string {
	f.mu.Lock()
	f.ops = nil
	f.mu.Unlock()
	do()
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ops)
}
