package jobhook

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"sidecar/internal/jobs"
	"sidecar/test/redisd"
)

func TestAClientMayWaitForTheEndOfItsJob(t *testing.T) {
	api := &slow{let: make(chan struct{})}
	f := newFront(t, shared, api.ServeHTTP, nil)
	path := f.accept(alice)
	began := time.Now()
	if a := f.ask("GET", path, "", alice, "Prefer: wait=1"); a.status != 200 ||
		a.fields.Get("Preference-Applied") != "wait=1" ||
		a.fields.Get("Retry-After") == "" || time.Since(began) < time.Second {
		t.Errorf("%d %v after %v", a.status, a.fields, time.Since(began))
	}
	let := time.AfterFunc(50*time.Millisecond, func() { close(api.let) })
	defer let.Stop()
	began = time.Now()
	a := f.ask("GET", path, "", alice, "Prefer: wait=50")
	var doc statusDocument
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || doc.Status != jobs.Succeeded ||
		time.Since(began) > 30*time.Second {
		t.Errorf("%s after %v", a.body, time.Since(began))
	}
	if a := f.ask("GET", path+"/result", "", alice, "Prefer: wait=50"); a.status != 201 {
		t.Errorf("the result: %d %s", a.status, a.body)
	}
}

func TestAWaitThatIsNoneIsIgnored(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	path := f.accept(alice)
	for _, wait := range []string{"-1", "", "soon", "1.5"} {
		if a := f.ask("GET", path, "", alice, "Prefer: wait="+wait); a.status != 200 ||
			a.fields.Get("Preference-Applied") != "" {
			t.Errorf("wait=%s: %d %v", wait, a.status, a.fields)
		}
	}
}

func TestThoseWhoWaitAreLetGoAtTheEnd(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	path := f.accept(alice)
	time.AfterFunc(50*time.Millisecond, f.End)
	began := time.Now()
	if a := f.ask("GET", path, "", alice, "Prefer: wait=50"); a.status != 200 ||
		time.Since(began) > 30*time.Second {
		t.Errorf("%d after %v", a.status, time.Since(began))
	}
}

// events reads the data of n events of the job at path, or all until the stream ends for 0.
func (f *front) events(n int, path string, fields ...string) (data []string, resp *http.Response) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), 30*time.Second)
	f.t.Cleanup(cancel)
	r, _ := http.NewRequestWithContext(ctx, "GET", f.url+path, nil)
	for _, line := range append(fields, "Accept: text/html, Text/Event-Stream; q=1") {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = resp.Body.Close() })
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if line, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			if data = append(data, line); len(data) == n {
				return data, resp
			}
		}
	}
	return data, resp
}

func TestEventsTellOfEachChangeUntilTheJobIsOver(t *testing.T) {
	api := &slow{let: make(chan struct{})}
	f := newFront(t, shared, api.ServeHTTP, nil)
	path := f.accept(alice)
	awaitRunning := func() {
		f.events(0, path+"?", "Authorization: bob")
		for {
			if data, _ := f.events(1, path, alice); strings.Contains(data[0], `"running"`) {
				return
			}
		}
	}
	awaitRunning()
	let := time.AfterFunc(50*time.Millisecond, func() { close(api.let) })
	defer let.Stop()
	data, resp := f.events(0, path, alice)
	if resp.Header.Get("Content-Type") != "text/event-stream" ||
		resp.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v", resp.Header)
	}
	var first, last statusDocument
	if len(data) != 2 || json.Unmarshal([]byte(data[0]), &first) != nil ||
		json.Unmarshal([]byte(data[1]), &last) != nil ||
		first.Status != jobs.Running || last.Status != jobs.Succeeded || last.ResultURL == nil {
		t.Errorf("%q", data)
	}
	if data, resp := f.events(0, path, alice); resp.StatusCode != 200 || len(data) != 1 {
		t.Errorf("of a job that is over: %d %q", resp.StatusCode, data)
	}
	if _, resp := f.events(0, path, alice,
		"Last-Event-ID: succeeded-1-0"); resp.StatusCode != http.StatusNoContent {
		t.Errorf("to one who has seen the end: %d", resp.StatusCode)
	}
	if _, resp := f.events(0, path, bob); resp.StatusCode != http.StatusNotFound {
		t.Errorf("to a stranger: %d", resp.StatusCode)
	}
}

func TestAJobIsCanceledByItsOwnerAlone(t *testing.T) {
	api := &slow{let: make(chan struct{})}
	defer close(api.let)
	f := newFront(t, shared, api.ServeHTTP, nil)
	path := f.accept(alice)
	if a := f.ask("DELETE", path, "", bob); a.status != http.StatusNotFound {
		t.Errorf("a stranger: %d", a.status)
	}
	if a := f.ask("DELETE", path+"/result", "", alice); a.status != http.StatusMethodNotAllowed ||
		a.fields.Get("Allow") != "GET, HEAD" {
		t.Errorf("a result: %d %v", a.status, a.fields)
	}
	if a := f.ask("DELETE", path, "", alice,
		"Origin: https://evil.example"); a.status != http.StatusForbidden {
		t.Errorf("a page of another origin: %d", a.status)
	}
	for range 2 {
		a := f.ask("DELETE", path, "", alice, "Origin: "+f.url)
		var doc statusDocument
		if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != 200 ||
			doc.Status != jobs.Canceled {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
	if a := f.ask("GET", path+"/result", "", alice); a.status != http.StatusGone {
		t.Errorf("its result: %d %s", a.status, a.body)
	}
}

func TestAJobThatIsOverCannotBeCanceled(t *testing.T) {
	f := newFront(t, shared, quick().ServeHTTP, nil)
	path := f.accept(alice)
	f.await(path, alice)
	if a := f.ask("DELETE", path, "", alice); a.status != http.StatusConflict ||
		!strings.Contains(a.body, "succeeded") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestWithoutAJobStoreNothingIsCanceled(t *testing.T) {
	redis := redisd.Start(t)
	f := newFront(t, redis, nil, nil)
	path := f.accept(alice)
	redis.Kill()
	if a := f.ask("DELETE", path, "", alice); a.status != http.StatusServiceUnavailable {
		t.Errorf("%d %s", a.status, a.body)
	}
}
