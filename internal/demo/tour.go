package demo

import (
	"fmt"
	"io"
	"strings"
)

// Addresses are the listening addresses of the demo's parts, as host:port.
type Addresses struct {
	Sidecar, Ops, API, Control string
}

// Tour writes to w the commands to try.
func Tour(w io.Writer, at Addresses) error {
	text := strings.NewReplacer(
		"{sidecar}", at.Sidecar, "{ops}", at.Ops, "{api}", at.API, "{control}", at.Control,
	).Replace(tour)
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("demo: tour: %w", err)
	}
	return nil
}

const tour = `
A game API listens on {api}. It takes 300 ms for a read, and 5 s for an NPC.
The sidecar in front of it listens on {sidecar}.

1. A miss, and then a hit: look at Cache-Status and at the time.

   curl -s -D - -w '%{time_total}s\n' -H 'Authorization: Bearer demo-thorin' http://{sidecar}/api/v1/characters/1
   curl -s -D - -w '%{time_total}s\n' -H 'Authorization: Bearer demo-thorin' http://{sidecar}/api/v1/characters/1

2. A write makes the next read fresh.

   curl -s -X PUT -H 'Authorization: Bearer demo-thorin' -d '{"hp": 7}' http://{sidecar}/api/v1/characters/1
   curl -s -D - -H 'Authorization: Bearer demo-thorin' http://{sidecar}/api/v1/characters/1

3. A slow POST is answered at once with a job. Ask for its status and, 6 seconds later, its result.

   job=$(curl -s -X POST -H 'Authorization: Bearer demo-thorin' http://{sidecar}/api/v1/npc/generate | sed 's/.*"status_url": *"\([^"]*\)".*/\1/')
   curl -s -H 'Authorization: Bearer demo-thorin' http://{sidecar}$job
   sleep 6; curl -s -H 'Authorization: Bearer demo-thorin' http://{sidecar}$job/result

4. Stop Redis: the API still answers, and the breaker opens. Start it again.

   curl -s -X POST http://{control}/redis/pull
   curl -s -D - -H 'Authorization: Bearer demo-thorin' http://{sidecar}/api/v1/characters/1
   sleep 5; curl -s -D - -H 'Authorization: Bearer demo-thorin' http://{sidecar}/api/v1/characters/1
   curl -s http://{ops}/status | grep -e error -e '"status"'
   curl -s -X POST http://{control}/redis/plug

Ctrl-C ends it.
`
