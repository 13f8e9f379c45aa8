//go:build guardsoff

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"

	"sidecar/internal/coherence"
)

// guards are the parts of the protocol that GUARDS_OFF switches off, as JSON. Only the checker's
// own binary is built with the tag that lets it: it has to find the fault that each of them
// prevents.
var guards = sync.OnceValue(func() (off coherence.Disabled) {
	if text := os.Getenv("GUARDS_OFF"); text != "" {
		if err := json.Unmarshal([]byte(text), &off); err != nil {
			fmt.Fprintf(os.Stderr, "GUARDS_OFF: %v\n", err)
			os.Exit(exitUsage)
		}
	}
	return off
})
