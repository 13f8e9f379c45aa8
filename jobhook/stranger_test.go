package jobhook

import (
	"bufio"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sidecar/test/redisd"
)

// monitor returns a function with the commands that Redis has got since its last call and that name
// the job, without the job's id.
func monitor(t *testing.T, r *redisd.Server) (about func(id string) []string) {
	t.Helper()
	c, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	if _, err := c.Write([]byte("MONITOR\r\n")); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(c)
	lines.Buffer(nil, 1<<20)
	when := regexp.MustCompile(`^\+[0-9.]+ \[[^]]*\] `)
	return func(id string) (commands []string) {
		r.Do("ECHO", "the end of "+id) // comes after all commands that have been answered
		for lines.Scan() {
			line := when.ReplaceAllString(lines.Text(), "")
			switch {
			case strings.Contains(line, "the end of "+id):
				return commands
			case strings.Contains(line, id):
				commands = append(commands, strings.ReplaceAll(line, id, "ID"))
			}
		}
		t.Fatalf("MONITOR: %v", lines.Err())
		return nil
	}
}

func TestRedisGetsTheSameCommandsForAStrangerAsForNoJob(t *testing.T) {
	redis := redisd.Start(t)
	f := newFront(t, redis, nil, nil)
	id, none := strings.TrimPrefix(f.accept(alice), "/_jobs/"), "AAAAAAAAAAAAAAAAAAAAAA"
	about := monitor(t, redis)
	for _, c := range []struct {
		method, suffix string
		fields         []string
	}{
		{"GET", "", nil}, {"HEAD", "", nil}, {"GET", "/result", nil}, {"DELETE", "", nil},
		{"GET", "", []string{"Prefer: wait=20"}}, {"GET", "/result", []string{"Prefer: wait=20"}},
		{"GET", "", []string{"Accept: text/event-stream"}},
	} {
		for _, who := range []string{bob, "X-Nobody: 1"} {
			about(id) // forget what came before
			theirs := f.ask(c.method, "/_jobs/"+id+c.suffix, "", append(c.fields, who)...)
			forTheirs := about(id)
			nobodys := f.ask(c.method, "/_jobs/"+none+c.suffix, "", append(c.fields, who)...)
			forNone := about(none)
			if theirs.status != http.StatusNotFound || nobodys.status != http.StatusNotFound {
				t.Errorf("%s %s %s: %d and %d",
					c.method, c.suffix, who, theirs.status, nobodys.status)
			}
			if len(forNone) != 1 || !slices.Equal(forTheirs, forNone) {
				t.Errorf("%s %s %s: %q, and for no job %q",
					c.method, c.suffix, who, forTheirs, forNone)
			}
		}
		if f.ask("GET", "/_jobs/"+id, "", alice); len(about(id)) == 0 {
			t.Fatal("the owner's request is not seen: the test looks in the wrong place")
		}
	}
}
