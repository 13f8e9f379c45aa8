package jobscheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"time"
)

// secret is how each body and each credential begins: nothing of it is to be left in Redis.
const secret = "the-secret-of-"

// A request is one POST and its answer.
type request struct {
	order
	path   string
	who    string // Authorization
	key    string // the client's Idempotency-Key; "" for none
	sent   time.Time
	tries  int    // with a key, a POST without an answer is sent again
	status int    // of the answer; 0: there was none
	note   string // Cache-Status, or the error
	job    string // its status_url
}

func (r *request) String() string {
	return fmt.Sprintf("%s POST %s %s key %q, %d ms, fails %d: answered %d after %d tries, %s %s",
		r.sent.Format("15:04:05.000"), r.path, r.Name, r.key, r.Work, r.Fail, r.status, r.tries,
		r.job, r.note)
}

// A client submits one order after the other.
type client struct {
	*world
	rand *rand.Rand
	name string
}

// alone uses a new connection each time: one that a killed sidecar left behind would be taken for
// an answer that got lost.
var alone = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}

func (c *client) run(n int) {
	for i := range n {
		r := c.next(i)
		c.mu.Lock()
		c.requests = append(c.requests, r)
		c.mu.Unlock()
		c.submit(r)
		time.Sleep(between(c.rand, 20*time.Millisecond, 200*time.Millisecond))
	}
}

// next makes an order.
func (c *client) next(i int) *request {
	name := fmt.Sprintf("%s%d", c.name, i)
	r := &request{
		who: "Bearer " + secret + "client-" + c.name,
		order: order{
			Name: name, Secret: secret + name,
			Work: 20 + c.rand.IntN(300), Status: http.StatusCreated,
		},
	}
	if c.rand.IntN(2) == 0 {
		r.key = "key-" + name
	}
	if c.rand.IntN(8) == 0 {
		r.Work = 1000 + c.rand.IntN(500)
	}
	switch c.rand.IntN(10) {
	case 0, 1, 2:
		r.path = "/once"
	case 3, 4:
		r.path, r.Fail = "/again", c.rand.IntN(3)
	case 5:
		r.path = "/prefer"
	case 6, 7, 8:
		r.path, r.Fail = "/after", c.rand.IntN(2)
	case 9:
		r.path = "/few"
	}
	return r
}

// submit sends the order, to another sidecar if one takes no connections: that is no attempt. With
// a key it repeats the POST until it has an answer.
func (c *client) submit(r *request) {
	r.sent = time.Now()
	for {
		err := c.post(r, c.any(c.rand))
		var op *net.OpError
		switch {
		case err == nil:
			r.tries++
			return
		case errors.As(err, &op) && op.Op == "dial":
		case r.key != "":
			r.tries++
		default:
			r.tries++
			r.note = err.Error()
			return
		}
		time.Sleep(20 * time.Millisecond) // as clients do
	}
}

func (c *client) post(r *request, s *sidecar) error {
	body, _ := json.Marshal(r.order)
	req, err := http.NewRequestWithContext(
		c.t.Context(), http.MethodPost, s.url()+r.path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = http.Header{
		"Authorization": {r.who}, "Content-Type": {"application/json"},
		"Prefer": {"respond-async, wait=1"},
	}
	if r.path == "/after" {
		req.Header.Del("Prefer")
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	resp, err := alone.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	r.status, r.note = resp.StatusCode, resp.Header.Get("Cache-Status")
	if r.status == http.StatusAccepted {
		var accepted struct {
			StatusURL string `json:"status_url"`
		}
		if err := json.Unmarshal(content, &accepted); err != nil {
			return err
		}
		r.job = accepted.StatusURL
	}
	return nil
}

// A state is a job as its client sees it.
type state struct {
	Status    string `json:"status"`
	Attempts  int    `json:"attempts"`
	LastError string `json:"last_error"`
}

// get asks a sidecar about a job.
func (w *world) get(r *request, path string, into any) (status int, err error) {
	req, err := http.NewRequestWithContext(
		w.t.Context(), http.MethodGet, w.sidecars[0].url()+path, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", r.who)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, json.Unmarshal(content, into)
}
