package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"sidecar/test/proc"
)

// sealedWith is the variable with these keys of 32 equal bytes.
func sealedWith(fills ...string) string {
	var keys []string
	for _, fill := range fills {
		keys = append(keys, base64.StdEncoding.EncodeToString([]byte(strings.Repeat(fill, 32))))
	}
	return "JOBS_ENCRYPTION_KEY=" + strings.Join(keys, ",")
}

// The jobs are accepted by sidecars without workers, and read raw from Redis while they wait.
func TestTheSealingKeyIsRotatedAndNoJobIsLost(t *testing.T) {
	t.Parallel()
	_, api := startGame(t)
	s := startBefore(t, api, shippedPolicies(t), sealedWith("o"), "JOBS_CONCURRENCY=0")
	thorin := login(t, s.url, "thorin")
	again := func(env ...string) {
		t.Helper()
		s.sidecar.Signal(syscall.SIGTERM)
		s.sidecar.Wait(30 * time.Second)
		s.sidecar, s.url, s.ops = startSidecar(t, api, s.redis.Addr(), shippedPolicies(t), env...)
		s.awaitCaching()
	}
	var accepted []answer
	submit := func() {
		t.Helper()
		for range 3 {
			prompt := fmt.Sprintf("body-in-clear-%d", len(accepted))
			a := generate(t, s.url, prompt, thorin)
			if a.status != http.StatusAccepted {
				t.Fatalf("%d %s", a.status, a.body)
			}
			accepted = append(accepted, a)
		}
		stored := s.stored()
		for what, secret := range map[string]string{
			"the token": signatureOf(thorin), "a body": "body-in-clear",
			"the path": "/npc/generate",
		} {
			if strings.Contains(stored, secret) {
				t.Errorf("%s can be read in Redis", what)
			}
		}
		if !strings.Contains(stored, jobOf(t, accepted[0]).JobID) {
			t.Fatal("the jobs are not in Redis: the test looks in the wrong place")
		}
	}
	submit()
	again(sealedWith("o", "n"), "JOBS_CONCURRENCY=0")
	submit()
	again(sealedWith("n", "o"), "JOBS_CONCURRENCY=0")
	submit()
	again(sealedWith("n")) // the old key is taken away too early
	for _, a := range accepted[6:] {
		if j := s.awaitJob(a, thorin); j.Status != "succeeded" {
			t.Errorf("sealed with the new key: %+v", j)
		}
	}
	proc.Await(t, 20*time.Second, func() error {
		if a := do(t, http.MethodGet, s.ops+"/status",
			nil); !strings.Contains(string(a.body), "npc_generation wait for their key") {
			return fmt.Errorf("/status: %s", a.body)
		}
		return nil
	})
	again(sealedWith("n", "o"))
	for _, a := range accepted[:6] { // they would be looked at again a little later
		url := s.ops + "/admin/jobs/" + jobOf(t, a).JobID + "/retry"
		do(t, http.MethodPost, url, nil, "Authorization: Bearer "+adminToken)
	}
	for i, a := range accepted {
		j := s.awaitJob(a, thorin)
		result := do(t, http.MethodGet, s.url+j.ResultURL, nil, thorin)
		if j.Status != "succeeded" || j.Attempts != 1 ||
			!strings.Contains(string(result.body), fmt.Sprintf("body-in-clear-%d", i)) {
			t.Errorf("%+v: %d %s", j, result.status, result.body)
		}
	}
	again(sealedWith("n"))
	for _, a := range accepted { // the results were sealed with the new key
		url := s.url + jobOf(t, a).StatusURL + "/result"
		if result := do(t, http.MethodGet, url, nil, thorin); result.status != http.StatusCreated {
			t.Errorf("with the new key alone: %d %s", result.status, result.body)
		}
	}
}

func TestTheFirstSealingKeyFailsNoJob(t *testing.T) {
	t.Parallel()
	_, api := startGame(t)
	s := startBefore(t, api, shippedPolicies(t), "JOBS_CONCURRENCY=0")
	thorin := login(t, s.url, "thorin")
	a := generate(t, s.url, "a smith", thorin)
	s.sidecar.Signal(syscall.SIGTERM)
	s.sidecar.Wait(30 * time.Second)
	s.sidecar, s.url, s.ops = startSidecar(t, api, s.redis.Addr(),
		shippedPolicies(t), sealedWith("n"))
	s.awaitCaching()
	if j := s.awaitJob(a, thorin); j.Status != "succeeded" {
		t.Errorf("%+v", j)
	}
}
