package demo

import (
	"fmt"
	"net/http"
)

// A Redis can be stopped and started again. Both methods are safe in any state.
type Redis interface {
	Stop() error
	Restart() error
}

// Control returns the handler that stops and starts the demo's Redis. It is not part of the
// product: it listens on loopback, and only in the demo.
func Control(redis Redis) http.Handler {
	mux := http.NewServeMux()
	act := func(done string, do func() error) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if err := do(); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			fmt.Fprintln(w, done)
		}
	}
	mux.HandleFunc("POST /redis/pull", act("Redis is out.", redis.Stop))
	mux.HandleFunc("POST /redis/plug", act("Redis is in.", redis.Restart))
	return mux
}
