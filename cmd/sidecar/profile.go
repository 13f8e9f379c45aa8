//go:build profile

package main

import (
	"log"
	"net/http"
	_ "net/http/pprof"
	"os"
)

// A binary with this tag, which only bench builds, shows its profiles on PROFILE_ADDR for as long
// as it runs.
func init() {
	if addr := os.Getenv("PROFILE_ADDR"); addr != "" {
		go func() { log.Fatal(http.ListenAndServe(addr, nil)) }()
	}
}
