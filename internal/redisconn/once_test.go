package redisconn_test

import (
	"context"
	"net"
	"testing"

	"github.com/redis/go-redis/v9"

	"sidecar/test/redisd"
)

// retried counts the commands of pipelines that the library may send again after an error.
type retried struct{ may, all int }

func (r *retried) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		return next(ctx, network, addr)
	}
}

func (r *retried) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (r *retried) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, c := range cmds {
			r.all++
			if !c.NoRetry() {
				r.may++
			}
		}
		return next(ctx, cmds)
	}
}

// In a pipeline of a Cluster a command that was redirected would be sent to two nodes otherwise, if
// another one failed: one answer would overwrite the other.
func TestInAClusterNoCommandOfAPipelineIsSentAgain(t *testing.T) {
	t.Parallel()
	conn := greeting(t, redisd.StartCluster(t).Redis())
	awaitHealthy(t, conn)
	var seen retried
	conn.Client().AddHook(&seen)
	p := conn.Client().Pipeline()
	first, second := p.Set(t.Context(), "a", "1", 0), p.Get(t.Context(), "a")
	if _, err := p.Exec(t.Context()); err != nil || first.Val() != "OK" || second.Val() != "1" {
		t.Errorf("%v, %v, %v", first, second, err)
	}
	if seen.all != 2 || seen.may > 0 {
		t.Errorf("%d of %d commands may be sent again", seen.may, seen.all)
	}
}
