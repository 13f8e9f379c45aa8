package jobscheck

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// An order is the body of a request: the API obeys it.
type order struct {
	Name   string `json:"name"`   // of its own
	Secret string `json:"secret"` // begins like every secret here
	Work   int    `json:"work"`   // milliseconds
	Fail   int    `json:"fail"`   // executions that are answered 503 before one succeeds
	Status int    `json:"status"` // of the answer after these
}

// A reply is the body of an answer.
type reply struct {
	Name string `json:"name"`
	Run  int    `json:"run"` // which execution of the order it was, from 1
}

// A run is one execution of an order.
type run struct {
	key     string // Idempotency-Key
	job     string // X-Job-Id; "" for a request that came without the queue
	attempt string
	began   time.Time
	status  int // of the answer; 0 before it
}

func (r run) String() string {
	return fmt.Sprintf("%s key %q job %q attempt %s: %d",
		r.began.Format("15:04:05.000"), r.key, r.job, r.attempt, r.status)
}

// An api executes orders and writes down each execution. It does all of an order's work, though
// the connection may have gone.
type api struct {
	*httptest.Server
	mu   sync.Mutex
	runs map[string][]run // by the name of the order
	now  int              // jobs of the limited route that are under way
	most int
}

// newAPI starts an API; with instead it is another handler.
func newAPI(t testing.TB, instead http.HandlerFunc) *api {
	a := &api{runs: map[string][]run{}}
	if instead == nil {
		instead = a.ServeHTTP
	}
	a.Server = httptest.NewServer(instead)
	t.Cleanup(a.Close)
	return a
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
		http.Error(w, "no order", http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	a.runs[o.Name] = append(a.runs[o.Name], run{
		key: r.Header.Get("Idempotency-Key"), job: r.Header.Get("X-Job-Id"),
		attempt: r.Header.Get("X-Job-Attempt"), began: time.Now(),
	})
	n := len(a.runs[o.Name])
	limited := r.URL.Path == "/few" && r.Header.Get("X-Job-Id") != ""
	if limited {
		a.now++
		a.most = max(a.most, a.now)
	}
	a.mu.Unlock()
	time.Sleep(time.Duration(o.Work) * time.Millisecond) // the work
	status := o.Status
	if n <= o.Fail {
		status = http.StatusServiceUnavailable
	}
	a.mu.Lock()
	a.runs[o.Name][n-1].status = status
	if limited {
		a.now--
	}
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(reply{Name: o.Name, Run: n})
}

// of are the executions of an order.
func (a *api) of(name string) []run {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]run(nil), a.runs[name]...)
}
