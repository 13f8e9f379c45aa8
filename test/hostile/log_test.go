package hostile

import (
	"net"
	"strings"
	"testing"
	"time"
)

// go-redis reports each connection that fails to a logger of the whole process, with the address.
func TestLibrariesWriteToOurLogWithoutContent(t *testing.T) {
	t.Parallel()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := gone.Addr().String()
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	p, _ := start(t, "http://"+at, "REDIS_EMBEDDED=false", "REDIS_URL=redis://user:geheim@"+at,
		"LOG_LEVEL=debug")
	about := p.AwaitLine(30*time.Second, `"library":"go-redis","about":"([^"]*)"`)[1]
	if !strings.HasPrefix(about, "redis: connection pool: failed to dial") ||
		strings.Contains(about, at) {
		t.Errorf("about: %q", about)
	}
	for _, line := range p.Lines() {
		if !strings.HasPrefix(line, "{") || strings.Contains(line, "geheim") {
			t.Errorf("the log has %q", line)
		}
	}
}
