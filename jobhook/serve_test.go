package jobhook

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"sidecar/internal/jobs"
	"sidecar/internal/reason"
	"sidecar/test/redisd"
)

func TestAStrangerGetsTheSameAnswerByTheSameOperationsAsForNoJob(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	path := f.accept(alice)
	f.awaitOperation("job-confirm") // nothing else is under way then
	none := "/_jobs/AAAAAAAAAAAAAAAAAAAAAA"
	for _, suffix := range []string{"", "/result"} {
		for name, who := range map[string][]string{
			"bob": {bob}, "nobody": nil, "somebody who cannot be told": {"X-Forwarded-User: alice"},
		} {
			var theirs, nobodys answer
			before := f.failures
			at := f.operations(func() { theirs = f.ask("GET", path+suffix, "", who...) })
			without := f.operations(func() { nobodys = f.ask("GET", none+suffix, "", who...) })
			if theirs.status != http.StatusNotFound || !reflect.DeepEqual(theirs, nobodys) {
				t.Errorf("%s, %q: %+v, and for no job %+v", name, suffix, theirs, nobodys)
			}
			if !reflect.DeepEqual(at, without) || len(at) != 1 {
				t.Errorf("%s, %q: operations %q, and for no job %q", name, suffix, at, without)
			}
			if f.failures != before+2 {
				t.Errorf("%s, %q: %d failures are counted, want 2", name, suffix, f.failures-before)
			}
		}
	}
	if a := f.ask("GET", path, "", alice); a.status != http.StatusOK {
		t.Errorf("the owner gets %d %s", a.status, a.body)
	}
}

func TestAJobWithoutCredentialsIsWhoeversHoldsItsID(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	path := f.accept()
	for _, who := range [][]string{nil, {bob}} {
		if a := f.ask("GET", path, "", who...); a.status != http.StatusOK {
			t.Errorf("%q get %d %s", who, a.status, a.body)
		}
	}
}

func TestWhatIsNoJobIsNotFound(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	path := f.accept(alice)
	for _, p := range []string{
		"/_jobs", "/_jobs/", "/_jobs/nonsense", path + "/other", path + "/result/", path + "x",
	} {
		if a := f.ask("GET", p, "", alice); a.status != http.StatusNotFound ||
			a.fields.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s", p, a.status, a.body)
		}
	}
}

func TestAJobIsLookedAtAndNothingElse(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	path := f.accept(alice)
	for _, method := range []string{"POST", "PUT", "PATCH", "OPTIONS"} {
		if a := f.ask(method, path, "", alice); a.status != http.StatusMethodNotAllowed ||
			a.fields.Get("Allow") != "GET, HEAD, DELETE" {
			t.Errorf("%s: %d %v", method, a.status, a.fields)
		}
	}
	head, get := f.ask("HEAD", path, "", alice), f.ask("GET", path, "", alice)
	if head.body != "" || !reflect.DeepEqual(head.fields, get.fields) || head.status != get.status {
		t.Errorf("HEAD: %+v, GET: %+v", head, get)
	}
}

func TestTheHooksPathsAreItsOwn(t *testing.T) {
	h := New(Options{Path: "/api/jobs/"})
	for path, want := range map[string]bool{
		"/api/jobs": true, "/api/jobs/": true, "/api/jobs/x": true, "/api/jobsx": false,
		"/api": false, "/_jobs": false, "/API/jobs": false,
	} {
		if h.Serves(path) != want {
			t.Errorf("%s: %t", path, !want)
		}
	}
}

func TestAResultIsTheAPIsOwnAnswer(t *testing.T) {
	for _, c := range []struct {
		name   string
		api    http.HandlerFunc
		status int
		body   string
		fields map[string]string // "-": absent
	}{
		{"with all its fields", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-own")
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Set("Set-Cookie", "a=1")
			w.WriteHeader(201)
			fmt.Fprint(w, "made")
		}, 201, "made", map[string]string{
			"Content-Type": "application/x-own", "Cache-Control": "no-store", "Set-Cookie": "a=1",
			"Content-Length": "4",
		}},
		{"and none that it did not send", func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"], w.Header()["Date"] = nil, nil
			fmt.Fprint(w, "<html>")
		}, 200, "<html>",
			map[string]string{"Content-Type": "-", "Date": "-", "Cache-Control": "no-store"}},
		{"without content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
			204, "",
			map[string]string{"Content-Length": "-"}},
		{"of a failure", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "no", http.StatusUnprocessableEntity)
		}, 422, "no\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFront(t, shared, c.api, nil)
			path := f.accept(alice)
			doc := f.await(path, alice)
			if doc.ResultURL == nil || *doc.ResultURL != path+"/result" {
				t.Fatalf("%+v", doc)
			}
			a := f.ask("GET", path+"/result", "", alice)
			if a.status != c.status || a.body != c.body {
				t.Errorf("%d %q, want %d %q", a.status, a.body, c.status, c.body)
			}
			for name, want := range c.fields {
				if got := a.fields[name]; want == "-" && got != nil ||
					want != "-" && a.fields.Get(name) != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
			if head := f.ask("HEAD", path+"/result", "", alice); head.body != "" ||
				head.status != c.status {
				t.Errorf("HEAD: %+v", head)
			}
		})
	}
}

func TestBeforeItsEndAJobHasNoResult(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	path := f.accept(alice)
	if a := f.ask("GET", path+"/result", "", alice); a.status != http.StatusConflict ||
		a.fields.Get("Retry-After") == "" || !strings.Contains(a.body, "queued") {
		t.Errorf("%d %v %s", a.status, a.fields, a.body)
	}
	if a := f.ask("GET", path, "", alice); a.fields.Get("Retry-After") == "" ||
		strings.Contains(a.body, "result_url") {
		t.Errorf("%v %s", a.fields, a.body)
	}
}

func TestAJobThatEndedWithoutAnAnswerHasABadGateway(t *testing.T) {
	f := newFront(t, shared, func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}, nil)
	path := f.accept(alice)
	doc := f.await(path, alice)
	if doc.Status != jobs.Failed || doc.ResultURL != nil || doc.LastError == nil {
		t.Fatalf("%+v", doc)
	}
	if a := f.ask("GET", path+"/result", "", alice); a.status != http.StatusBadGateway ||
		!strings.Contains(a.body, *doc.LastError) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestAResultThatCannotBeOpenedIsNotLost(t *testing.T) {
	sealer := func(fill byte) *jobs.Sealer {
		s, err := jobs.ParseSealer(
			base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{fill}, 32)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	f := newFront(t, shared, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "a sword")
	}, sealer(1))
	path := f.accept(alice)
	f.await(path, alice)
	f.Jobs.Sealer = sealer(2)
	if a := f.ask("GET", path+"/result", "", alice); a.status != http.StatusInternalServerError ||
		strings.Contains(a.body, "sword") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestWithoutAJobStoreNobodyIsToldThatAJobIsLost(t *testing.T) {
	redis := redisd.Start(t)
	f := newFront(t, redis, nil, nil)
	path := f.accept(alice)
	redis.Kill()
	for _, p := range []string{path, path + "/result"} {
		a := f.ask("GET", p, "", alice)
		if a.status != http.StatusServiceUnavailable || a.fields.Get("Retry-After") == "" ||
			a.fields.Get("Cache-Status") != "sidecar; detail="+string(reason.JobStoreAway) {
			t.Errorf("%d %v %s", a.status, a.fields, a.body)
		}
	}
}

func TestUntilTheKeySecretIsKnownTheOwnerIsAskedToWait(t *testing.T) {
	f := newFront(t, shared, nil, nil)
	path, open := f.accept(alice), f.accept()
	f.secret = nil
	if a := f.ask("GET", path, "", alice); a.status != http.StatusServiceUnavailable ||
		a.fields.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := f.ask("GET", open, "", alice); a.status != http.StatusOK {
		t.Errorf("a job without an owner: %d %s", a.status, a.body)
	}
	if a := f.ask("POST", "/craft", "a sword", alice); a.status != http.StatusTeapot ||
		f.why != reason.KeySecretUnknown {
		t.Errorf("a new job: %d, %s", a.status, f.why)
	}
}
