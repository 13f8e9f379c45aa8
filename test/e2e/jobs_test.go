package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"sidecar/test/proc"
)

// job is a job as a client sees it.
type job struct {
	JobID     string `json:"job_id"`
	Type      string `json:"type"`
	Queue     string `json:"queue"`
	Status    string `json:"status"`
	Attempts  int    `json:"attempts"`
	MaxRetry  int    `json:"max_retry"`
	LastError string `json:"last_error"`
	StatusURL string `json:"status_url"`
	ResultURL string `json:"result_url"`
}

func jobOf(t *testing.T, a answer) (j job) {
	t.Helper()
	if err := json.Unmarshal(a.body, &j); err != nil || j.JobID == "" {
		t.Fatalf("no job: %d %s", a.status, a.body)
	}
	return j
}

// awaitJob waits until the job that a 202 promised is over.
func (s *stack) awaitJob(accepted answer, who string) (j job) {
	s.t.Helper()
	url := s.url + jobOf(s.t, accepted).StatusURL
	proc.Await(s.t, 60*time.Second, func() error {
		a := do(s.t, http.MethodGet, url, nil, who)
		if a.status != http.StatusOK {
			return fmt.Errorf("%d %s", a.status, a.body)
		}
		if j = jobOf(s.t, a); j.Status != "succeeded" && j.Status != "failed" {
			return fmt.Errorf("still %s", j.Status)
		}
		return nil
	})
	return j
}

// generation is the request that becomes a job.
const generation = "POST /api/v1/npc/generate"

func generate(t *testing.T, base, prompt, who string, fields ...string) answer {
	t.Helper()
	return do(t, http.MethodPost, base+"/api/v1/npc/generate", map[string]string{"prompt": prompt},
		append(fields, who)...)
}

func TestASlowPOSTBecomesAJobThatOnlyItsCallerSees(t *testing.T) {
	t.Parallel()
	s := start(t)
	thorin, lyra := login(t, s.url, "thorin"), login(t, s.url, "lyra")

	a := generate(t, s.url, "a smith", thorin)
	if a.status != http.StatusAccepted || a.fields.Get("Retry-After") == "" ||
		a.fields.Get("Location") == "" {
		t.Fatalf("%d %v %s", a.status, a.fields, a.body)
	}
	accepted := jobOf(t, a)
	if accepted.Status != "queued" || accepted.StatusURL != a.fields.Get("Location") {
		t.Errorf("accepted as %+v", accepted)
	}
	done := s.awaitJob(a, thorin)
	if done.Status != "succeeded" || done.Type != "npc_generation" || done.Queue != "default" ||
		done.Attempts != 1 || done.MaxRetry != 3 {
		t.Errorf("the job came out as %+v", done)
	}
	result := do(t, http.MethodGet, s.url+done.ResultURL, nil, thorin)
	if result.status != http.StatusCreated || !strings.Contains(string(result.body), "a smith") ||
		result.fields.Get("Content-Type") != "application/json" {
		t.Errorf("the result is %d %v %s", result.status, result.fields, result.body)
	}
	for _, path := range []string{
		accepted.StatusURL, done.ResultURL, "/_jobs/AAAAAAAAAAAAAAAAAAAAAA", "/_jobs/nonsense",
		"/_jobs", "/_jobs/",
	} {
		for name, who := range map[string]string{"another caller": lyra, "nobody": "X-Nothing: 1"} {
			if got := do(t, http.MethodGet, s.url+path, nil,
				who); got.status != http.StatusNotFound ||
				got.fields.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s asks for %s: %d %s", name, path, got.status, got.body)
			}
		}
	}
	if stored := s.stored(); strings.Contains(stored, `{"prompt":"a smith"}`) ||
		strings.Contains(stored, signatureOf(thorin)) {
		t.Errorf("the request still stands in Redis: %q", stored)
	}
}

// signatureOf is the part of a token that nobody but its bearer can know.
func signatureOf(who string) string { return who[strings.LastIndexByte(who, '.')+1:] }

// stored is everything that stands in Redis.
func (s *stack) stored() string {
	var all strings.Builder
	for _, key := range s.redis.Do("KEYS", "*").([]any) {
		var value any
		switch kind := s.redis.Do("TYPE", key); kind {
		case "string":
			value = s.redis.Do("GET", key)
		case "hash":
			value = s.redis.Do("HGETALL", key)
		case "list":
			value = s.redis.Do("LRANGE", key, 0, -1)
		case "set":
			value = s.redis.Do("SMEMBERS", key)
		case "zset":
			value = s.redis.Do("ZRANGE", key, 0, -1)
		case "none": // expired meanwhile
		default:
			s.t.Fatalf("%v is a %v", key, kind)
		}
		fmt.Fprintf(&all, "%v: %v\n", key, value)
	}
	return all.String()
}

func TestWhatAJobHoldsIsSealedWhereThereIsAKey(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"with a key": "JOBS_ENCRYPTION_KEY=MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
		"without":    "CACHE_STATUS=full",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, api := startGame(t, "NPC_DELAY=1s")
			s := startBefore(t, api, shippedPolicies(t), key)
			thorin := login(t, s.url, "thorin")
			a := generate(t, s.url, "a smith", thorin)
			readable := strings.Contains(s.stored(), signatureOf(thorin))
			if sealed := name == "with a key"; readable == sealed {
				t.Errorf("the token can be read in Redis: %t", readable)
			}
			done := s.awaitJob(a, thorin)
			if result := do(t, http.MethodGet, s.url+done.ResultURL, nil,
				thorin); result.status != http.StatusCreated {
				t.Errorf("the result: %d %s", result.status, result.body)
			}
			if strings.Contains(s.stored(), signatureOf(thorin)) {
				t.Error("the token still stands in Redis when the job is over")
			}
		})
	}
}

func TestAnIdempotencyKeyLeadsToOneJob(t *testing.T) {
	t.Parallel()
	_, api := startGame(t)
	g := newGate(t, api)
	s := startBefore(t, g.URL, shippedPolicies(t))
	thorin, lyra := login(t, s.url, "thorin"), login(t, s.url, "lyra")
	first := generate(t, s.url, "a baker", thorin, "Idempotency-Key: k1")
	second := generate(t, s.url, "a baker", thorin, "Idempotency-Key: k1")
	if jobOf(t, first).JobID != jobOf(t, second).JobID {
		t.Errorf("two jobs: %s %s", first.body, second.body)
	}
	if other := generate(t, s.url, "a baker", lyra,
		"Idempotency-Key: k1"); jobOf(t, other).JobID == jobOf(t, first).JobID {
		t.Error("another caller was given the job")
	} else {
		s.awaitJob(other, lyra)
	}
	if a := generate(t, s.url, "a thief", thorin,
		"Idempotency-Key: k1"); a.status != http.StatusUnprocessableEntity {
		t.Errorf("the same key with another body: %d %s", a.status, a.body)
	}
	s.awaitJob(first, thorin)
	if n := g.asked(generation); n != 2 {
		t.Errorf("the backend was asked %d times, want 2", n)
	}
}

func TestAGracefulEndFinishesTheJobThatRuns(t *testing.T) {
	t.Parallel()
	_, api := startGame(t, "NPC_DELAY=1s")
	g := newGate(t, api)
	s := startBefore(t, g.URL, shippedPolicies(t))
	thorin := login(t, s.url, "thorin")
	a := generate(t, s.url, "a ghost", thorin)
	proc.Await(t, 10*time.Second, func() error {
		if j := jobOf(t, do(t, http.MethodGet, s.url+jobOf(t, a).StatusURL, nil,
			thorin)); j.Status != "running" {
			return fmt.Errorf("still %s", j.Status)
		}
		return nil
	})
	s.sidecar.Signal(syscall.SIGTERM)
	if status := s.sidecar.Wait(25 * time.Second); status != 0 {
		t.Fatalf("exit status %d", status)
	}
	if n := g.answered(generation, http.StatusCreated); n != 1 {
		t.Errorf("the job that ran at the end was answered %d times", n)
	}
	s.sidecar, s.url, s.ops = startSidecar(t, g.URL, s.redis.Addr(), shippedPolicies(t))
	s.awaitCaching()
	if j := s.awaitJob(a, thorin); j.Status != "succeeded" {
		t.Errorf("after a graceful end the job is %+v", j)
	}
}

// patientPolicies give a POST its own answer within 300 ms.
const patientPolicies = `{version: 1, routes: [
  {name: npc_generation, match: "POST /api/v1/npc/generate", job: {mode: after, after: 300ms, timeout: 20s}}]}`

func TestAKilledSidecarsJobRunsOnceMoreThoughItsPOSTHadBegunIt(t *testing.T) {
	t.Parallel()
	_, api := startGame(t, "NPC_DELAY=3s")
	g := newGate(t, api)
	s := startBefore(t, g.URL, policiesFile(t, patientPolicies))
	thorin := login(t, api, "thorin")
	a := generate(t, s.url, "a ghost", thorin)
	if a.status != http.StatusAccepted || jobOf(t, a).Status != "running" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	s.sidecar.Kill()
	// The job's time-out goes by.
	if due := s.redis.Do("ZADD", "asynq:{default}:scheduled", "XX", "CH", 1,
		jobOf(t, a).JobID); due != int64(1) {
		t.Fatalf("the task is not scheduled: %v", due)
	}
	s.sidecar, s.url, s.ops = startSidecar(t, g.URL, s.redis.Addr(),
		policiesFile(t, patientPolicies))
	if j := s.awaitJob(a, thorin); j.Status != "succeeded" || j.Attempts != 2 {
		t.Errorf("%+v", j)
	}
	if n := g.asked(generation); n != 2 {
		t.Errorf("the API was asked %d times, want 2: the request that was cut off, and one more", n)
	}
}

func TestAKilledWorkersJobRunsAgainWithTheSameKey(t *testing.T) {
	t.Parallel()
	_, api := startGame(t, "NPC_DELAY=3s")
	g := newGate(t, api)
	policies := policiesFile(t, `{version: 1, routes: [
  {name: npc_generation, match: "POST /api/v1/npc/generate", job: {mode: always, max_retry: 0}}]}`)
	s := startBefore(t, g.URL, policies)
	thorin := login(t, api, "thorin")
	a := generate(t, s.url, "a ghost", thorin)
	id := jobOf(t, a).JobID
	proc.Await(t, 20*time.Second, func() error {
		if n := g.asked(generation); n != 1 {
			return fmt.Errorf("the API was asked %d times", n)
		}
		return nil
	})
	s.sidecar.Kill()
	if s.redis.Do("ZSCORE", "asynq:{default}:lease", id) == nil {
		t.Fatal("the dead worker has no lease")
	}
	s.redis.Do("ZADD", "asynq:{default}:lease", "XX", time.Now().Add(-12*time.Second).Unix(), id)
	// asynq itself would wait for another 18 s, and then for the next minute.
	s.sidecar, s.url, s.ops = startSidecar(t, g.URL, s.redis.Addr(), policies)
	if j := s.awaitJob(a, thorin); j.Status != "succeeded" || j.Attempts != 2 {
		t.Errorf("%+v", j)
	}
	if n := g.asked(generation); n != 2 {
		t.Errorf("the API was asked %d times, want 2", n)
	}
}

func TestASlowPOSTOfModeAfterIsFollowedByEventsAndCanceled(t *testing.T) {
	t.Parallel()
	_, api := startGame(t, "NPC_DELAY=30s")
	g := newGate(t, api)
	s := startBefore(t, g.URL, policiesFile(t, patientPolicies))
	thorin := login(t, api, "thorin")
	url := s.url + jobOf(t, generate(t, s.url, "a ghost", thorin)).StatusURL
	events := make(chan answer, 1)
	go func() {
		a, _ := try(t.Context(), http.MethodGet, url, nil, thorin, "Accept: text/event-stream")
		events <- a
	}()
	if a := do(t, http.MethodDelete, url, nil, thorin); a.status != http.StatusOK ||
		jobOf(t, a).Status != "canceled" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := <-events; !strings.Contains(string(a.body), `"status":"canceled"`) {
		t.Errorf("the events are %s", a.body)
	}
}

// The token expires while the job waits for a worker. Its caller has a new one by then.
func TestATokenThatHasExpiredIsTheReasonOfAFailure(t *testing.T) {
	t.Parallel()
	_, api := startGame(t, "ACCESS_TOKEN_TTL=4s")
	s := startBefore(t, api, shippedPolicies(t), "JOBS_CONCURRENCY=0")
	thorin := login(t, s.url, "thorin")
	a := generate(t, s.url, "a ghost", thorin)
	if a.status != http.StatusAccepted {
		t.Fatalf("%d %s", a.status, a.body)
	}
	awaitThat(t, "the token expires", func() bool {
		return do(t, http.MethodGet, api+"/api/v1/users/me", nil,
			thorin).status == http.StatusUnauthorized
	})
	s.sidecar.Signal(syscall.SIGTERM)
	s.sidecar.Wait(30 * time.Second)
	s.sidecar, s.url, s.ops = startSidecar(t, api, s.redis.Addr(), shippedPolicies(t))
	s.awaitCaching()
	var j job
	proc.Await(t, 30*time.Second, func() error {
		b := do(t, http.MethodGet, s.url+jobOf(t, a).StatusURL, nil, login(t, api, "thorin"))
		if j = jobOf(t, b); j.Status != "failed" {
			return fmt.Errorf("%d %s", b.status, b.body)
		}
		return nil
	})
	want := "the backend answered 401 Unauthorized: the request's token expired at 20"
	if !strings.HasPrefix(j.LastError, want) || j.Attempts != 1 {
		t.Errorf("%+v", j)
	}
}
