package redisconn_test

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/redisconn"
	"sidecar/test/redisd"
)

// The library leaves the redirection on a command that was sent again, and whose connection broke.
func TestARedirectedCommandMayHaveBeenExecuted(t *testing.T) {
	t.Parallel()
	c := redisd.StartCluster(t)
	owner, _ := c.Owner("key")
	other := redis.NewClient(&redis.Options{Addr: c.Nodes[(owner+1)%3].Addr()})
	defer other.Close()
	moved := other.Get(t.Context(), "key").Err()
	if moved == nil || !strings.HasPrefix(moved.Error(), "MOVED ") || !redisconn.Uncertain(moved) {
		t.Errorf("%v counts as not executed", moved)
	}
	wrong := other.Do(t.Context(), "NONSENSE").Err()
	if wrong == nil || redisconn.Uncertain(wrong) {
		t.Errorf("%v counts as executed", wrong)
	}
}
