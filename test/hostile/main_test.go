// Package hostile tests the binary against an attacker on either side of it: real processes, real
// sockets, and bytes that no client or API would send by itself.
package hostile

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sidecar/test/proc"
)

func TestMain(m *testing.M) {
	built := proc.BuildAhead("../../cmd/sidecar")
	status := m.Run()
	built()
	proc.Clean()
	os.Exit(status)
}

const cached = "version: 1\n" +
	"routes:\n" +
	"  - {match: 'GET /c/{id}', " +
	"cache: {scope: shared, ttl: 1h, max_body: 16MiB, tags: ['c:{id}']}}\n" +
	"  - {match: 'PUT /c/{id}', invalidate: ['c:{id}']}\n" +
	"  - {match: POST /job, job: {mode: always}}\n"

// start starts a sidecar before backend, with a Redis of its own process, and returns the address
// of its data plane.
func start(t *testing.T, backend string, env ...string) (p *proc.Proc, address string) {
	t.Helper()
	policies := filepath.Join(t.TempDir(), "policies.yaml")
	if err := os.WriteFile(policies, []byte(cached), 0o600); err != nil {
		t.Fatal(err)
	}
	p = proc.Start(t, proc.Cmd{Path: proc.Build(t, "../../cmd/sidecar"), Env: append([]string{
		"BACKEND_URL=" + backend, "REDIS_EMBEDDED=true", "POLICIES_FILE=" + policies,
		"LISTEN_ADDR=127.0.0.1:0",
		"OPS_ADDR=127.0.0.1:0", "LOG_LEVEL=debug", "LOG_FORMAT=json", "REDIS_TIMEOUT=5s",
		"SHUTDOWN_DELAY=0",
	}, env...)})
	return p, p.AwaitLine(60*time.Second, `"msg":"listening","data":"([^"]+)"`)[1]
}

// A client is a raw connection.
type client struct {
	net.Conn
	read *bufio.Reader
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	return &client{c, bufio.NewReader(c)}
}

// exchange sends these bytes on a connection of its own and returns the bytes that come until it
// ends.
func exchange(t *testing.T, address, request string) string {
	t.Helper()
	c := dial(t, address)
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(c.read)
	return string(got)
}

// status is the status line of an answer.
func status(answer string) string {
	line, _, _ := strings.Cut(answer, "\r\n")
	return line
}
