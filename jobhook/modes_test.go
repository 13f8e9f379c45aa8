package jobhook

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"sidecar/internal/jobs"
	"sidecar/internal/reason"
)

// slow is an API that answers once it is let, and counts its requests.
type slow struct {
	asked atomic.Int32
	let   chan struct{}
}

func (s *slow) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	<-s.let
	w.Header().Set("X-Attempt", r.Header.Get("X-Job-Attempt"))
	w.Header().Set("Cache-Control", "max-age=60")
	w.WriteHeader(201)
	_, _ = w.Write([]byte("made with " + r.Header.Get("Prefer")))
}

func quick() *slow {
	s := &slow{let: make(chan struct{})}
	close(s.let)
	return s
}

func TestModeAfterGivesTheAPIsOwnAnswerIfItComesInTime(t *testing.T) {
	api := quick()
	f := newFront(t, shared, api.ServeHTTP, nil)
	a := f.ask("POST", "/patient", "a sword", alice, "Prefer: handling=strict, wait=20")
	if a.status != 201 || a.body != "made with handling=strict" ||
		a.fields.Get("X-Attempt") != "1" {
		t.Errorf("%d %v %s", a.status, a.fields, a.body)
	}
	for name, want := range map[string]string{
		"Location": "", "Retry-After": "", "Cache-Control": "max-age=60",
		"Preference-Applied": "wait=20",
		"Cache-Status":       "sidecar; detail=" + string(reason.AnsweredInTime),
	} {
		if got := a.fields.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if n := api.asked.Load(); n != 1 {
		t.Errorf("the API was asked %d times", n)
	}
}

func TestModeAfterPromisesAJobThatIsUnderWayAlready(t *testing.T) {
	api := &slow{let: make(chan struct{})}
	f := newFront(t, shared, api.ServeHTTP, nil)
	a := f.ask("POST", "/hasty", "a sword", alice)
	var doc acceptedDocument
	if err := json.Unmarshal([]byte(a.body), &doc); err != nil || a.status != 202 ||
		doc.Status != jobs.Running {
		t.Fatalf("%d %s", a.status, a.body)
	}
	close(api.let)
	if got := f.await(doc.StatusURL, alice); got.Status != jobs.Succeeded || got.Attempts != 1 {
		t.Errorf("%+v", got)
	}
	if result := f.ask("GET", doc.StatusURL+"/result", "", alice); result.status != 201 ||
		result.body != "made with " {
		t.Errorf("%+v", result)
	}
	if n := api.asked.Load(); n != 1 {
		t.Errorf("the API was asked %d times", n)
	}
}

func TestAClientOfModeAfterMaySayThatItDoesNotWait(t *testing.T) {
	f := newFront(t, shared, quick().ServeHTTP, nil)
	a := f.ask("POST", "/patient", "a sword", alice, "Prefer: respond-async")
	if a.status != 202 || a.fields.Get("Preference-Applied") != "respond-async" {
		t.Errorf("%d %v", a.status, a.fields)
	}
}

func TestModePreferMakesJobsOfThoseWhoPreferIt(t *testing.T) {
	f := newFront(t, shared, quick().ServeHTTP, nil)
	for _, c := range []struct {
		prefer  string
		status  int
		applied string
	}{
		{"respond-async", 202, "respond-async"},
		{"Respond-Async, wait=0", 202, "respond-async"},
		{"respond-async, wait=30", 201, "wait=30"},
		{"wait=30", http.StatusTeapot, ""},
		{"handling=lenient", http.StatusTeapot, ""},
		{`"`, http.StatusTeapot, ""},
		{"", http.StatusTeapot, ""},
	} {
		fields := []string{alice}
		if c.prefer != "" {
			fields = append(fields, "Prefer: "+c.prefer)
		}
		a := f.ask("POST", "/asked", "a sword", fields...)
		if a.status != c.status || a.fields.Get("Preference-Applied") != c.applied {
			t.Errorf("%q: %d %v", c.prefer, a.status, a.fields)
		}
		if c.status == http.StatusTeapot &&
			(f.why != reason.NotPreferred || f.passed != "a sword" ||
				f.fields.Get("Prefer") != c.prefer) {
			t.Errorf("%q: %s, the API would get %q %v", c.prefer, f.why, f.passed, f.fields)
		}
	}
}

func TestAnAttemptWithoutAnAnswerInTimeIsABadGateway(t *testing.T) {
	f := newFront(t, shared, func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}, nil)
	if a := f.ask("POST", "/patient", "a sword", alice); a.status != http.StatusBadGateway ||
		!strings.Contains(a.body, "connection to the backend failed") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPreferencesAreReadStrictly(t *testing.T) {
	for _, c := range []struct {
		values []string
		want   preference
	}{
		{nil, preference{}},
		{[]string{"wait=5"}, preference{waits: true, wait: 5e9}},
		{[]string{`wait="5"`}, preference{waits: true, wait: 5e9}},
		{[]string{"wait=5; x=1, wait=7"}, preference{waits: true, wait: 5e9}},
		{[]string{"handling=lenient", "WAIT = 5"}, preference{waits: true, wait: 5e9}},
		{[]string{"wait=100000"}, preference{waits: true, wait: maxWait}},
		{[]string{"wait=-1"}, preference{}},
		{[]string{"wait=1.5"}, preference{}},
		{[]string{"wait"}, preference{}},
		{[]string{"wait=99999999999999999999"}, preference{}},
		{[]string{`respond-async, "`}, preference{}},
		{[]string{"respond-async;x"}, preference{async: true}},
	} {
		if got := preferenceOf(c.values); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.values, got, c.want)
		}
	}
}
