package redisd

import (
	"fmt"
	"sync"
	"testing"
)

// prefixes are those of the tests that run: a test that is run again has another one.
var prefixes struct {
	sync.Mutex
	of   map[testing.TB]string
	last int
}

// Prefix is a REDIS_KEY_PREFIX of the test's own, the same one for all its sidecars.
func Prefix(t testing.TB) string {
	prefixes.Lock()
	defer prefixes.Unlock()
	if prefixes.of == nil {
		prefixes.of = map[testing.TB]string{}
	}
	if prefixes.of[t] == "" {
		prefixes.last++
		prefixes.of[t] = fmt.Sprintf("%s-%d", t.Name(), prefixes.last)
	}
	return prefixes.of[t]
}
