package coherence_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/config"
	"sidecar/test/faultproxy"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

func TestAnInvalidationOnAServerThatWasReplacedCountsOnTheNewOne(t *testing.T) {
	t.Parallel()
	old, promoted := redisd.Start(t), redisd.Start(t)
	way := faultproxy.Start(t, old.Addr())
	host, port, _ := net.SplitHostPort(way.Addr())
	late := newProcess(t, config.Redis{Host: host, Port: port}, coherence.Disabled{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); late.conn.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	tag := cachekeys.Named("a")
	invalidate := func() error {
		return late.Invalidate(t.Context(), nil, cachekeys.Tag{}, []cachekeys.Tag{tag}, nil, 0)
	}
	proc.Await(t, 20*time.Second, invalidate)

	early := newProcess(t, addressOf(promoted), coherence.Disabled{}) // has moved already
	stamp := early.open([]cachekeys.Tag{cachekeys.All, tag}, nil).Stamp
	if got := early.judge(stamp); got != coherence.Alive {
		t.Fatalf("what was stored after the failover is %v", got)
	}
	before := old.Calls()["evalsha"]
	way.Divert(promoted.Addr())
	if err := invalidate(); err != nil {
		t.Fatal(err)
	}
	if old.Calls()["evalsha"] == before {
		t.Fatal("the invalidation did not reach the old server: the test looks at nothing")
	}
	acknowledged, delay := time.Now(), proc.Late(t)
	proc.Await(t, 20*time.Second, func() error {
		if early.judge(stamp) == coherence.Alive {
			return errors.New("alive")
		}
		return nil
	})
	if took := time.Since(acknowledged) - delay(); took > time.Second {
		t.Errorf("it was dead after %v", took)
	}
}
