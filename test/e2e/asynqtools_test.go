package e2e

import (
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"sidecar/test/proc"
)

// asynq's CLI is in no registry of Go modules: `asynq stats` and its siblings are asked as it asks,
// by asynq's Inspector, and run where they are in the PATH.
func TestAsynqsOwnToolsSeeWhatTheyExpect(t *testing.T) {
	t.Parallel()
	_, api := startGame(t, "NPC_DELAY=30s")
	g := newGate(t, api)
	s := startBefore(t, g.URL, shippedPolicies(t), "JOBS_CONCURRENCY=1", "SHUTDOWN_TIMEOUT=3s")
	thorin := login(t, s.url, "thorin")
	running := jobOf(t, generate(t, s.url, "a body that nobody reads", thorin)).JobID
	proc.Await(t, 20*time.Second, func() error {
		if g.asked(generation) == 0 {
			return fmt.Errorf("it does not run")
		}
		return nil
	})
	waiting := jobOf(t, generate(t, s.url, "a body that nobody reads", thorin)).JobID

	inspector := asynq.NewInspectorFromRedisClient(s.redis.Client())
	if queues, err := inspector.Queues(); err != nil || !slices.Contains(queues, "default") {
		t.Errorf("queue ls: %q, %v", queues, err)
	}
	q, err := inspector.GetQueueInfo("default")
	if err != nil || q.Active != 1 || q.Pending != 1 || q.Size != 2 || q.Paused {
		t.Errorf("stats: %+v, %v", q, err)
	}
	for id, list := range map[string]func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error){
		running: inspector.ListActiveTasks, waiting: inspector.ListPendingTasks,
	} {
		tasks, err := list("default")
		if err != nil || len(tasks) != 1 {
			t.Fatalf("task ls: %+v, %v", tasks, err)
		}
		k := tasks[0]
		if k.ID != id || k.Type != "npc_generation" || strings.ContainsAny(k.ID+k.Queue, "{}") {
			t.Errorf("task ls: %+v", k)
		}
		if p := string(k.Payload); strings.Contains(p, "nobody reads") ||
			strings.Contains(p, signatureOf(thorin)) {
			t.Errorf("the payload is %s", p)
		}
	}
	proc.Await(t, 20*time.Second, func() error { // asynq writes it every 5 s
		servers, err := inspector.Servers()
		if err != nil || len(servers) != 1 {
			return fmt.Errorf("server ls: %+v, %v", servers, err)
		}
		if i := servers[0]; i.Concurrency != 1 || i.Queues["critical"] != 6 ||
			len(i.ActiveWorkers) != 1 {
			return fmt.Errorf("server ls: %+v", i)
		}
		return nil
	})

	if _, err := exec.LookPath("asynq"); err != nil {
		t.Log("asynq's CLI is not installed: it is not run")
	} else {
		for _, c := range []struct{ command, want string }{
			{"stats", `default`}, {"queue ls", `(?m)^default$`},
			{"task ls --queue=default --state=pending", waiting + ` +npc_generation `},
			{"task ls --queue=default --state=active", running + ` +npc_generation `},
		} {
			out := run(t, nil, "asynq",
				append(strings.Fields(c.command), "--uri", s.redis.Addr())...)
			if !regexp.MustCompile(c.want).MatchString(out) {
				t.Errorf("asynq %s: %s", c.command, out)
			}
		}
	}
}
