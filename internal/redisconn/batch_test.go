package redisconn_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/config"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// ample is a time that no read of these tests takes.
const ample = 30 * time.Second

// reads starts n reads of a key.
func reads(ctx context.Context, c *redisconn.Conn, each time.Duration, n int) *answers {
	a := &answers{values: make([][]any, n), errs: make([]error, n)}
	for i := range n {
		a.all.Go(func() {
			a.values[i], a.errs[i] = c.Read(ctx, c.Budget(each), "lookup", []string{"key"})
			a.ended.Add(1)
		})
	}
	return a
}

type answers struct {
	all    sync.WaitGroup
	ended  atomic.Int32
	values [][]any
	errs   []error
}

// A counter counts the reads of a client that are sent, and their keys.
type counter struct{ commands, keys atomic.Int32 }

// DialHook implements redis.Hook.
func (*counter) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == "mget" { // not the greetings of a connection
			c.commands.Add(1)
			c.keys.Add(int32(len(cmd.Args()) - 1))
		}
		return next(ctx, cmd)
	}
}

// ProcessPipelineHook implements redis.Hook.
func (*counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestReadsThatAreMadeTogetherShareCommands(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	c := open(t, at(server), patient)
	server.Do("SET", "common", "of all")
	server.Do("RPUSH", "list", "no string")
	if _, err := c.Read(t.Context(), nil, "lookup", []string{"common"}); err != nil { // it connects
		t.Fatal(err)
	}
	const readers = 64
	for i := range readers {
		server.Do("SET", "own"+strconv.Itoa(i), "value of "+strconv.Itoa(i))
	}
	var n counter
	c.Client().AddHook(&n)
	server.Freeze()
	var asking sync.WaitGroup
	for i := range readers {
		asking.Go(func() {
			own, value := "own"+strconv.Itoa(i), "value of "+strconv.Itoa(i)
			values, err := c.Read(t.Context(), c.Budget(ample), "lookup",
				[]string{"common", "list", own, "absent"})
			if got, want := fmt.Sprint(values),
				fmt.Sprint([]any{"of all", nil, value, nil}); err != nil || got != want {
				t.Errorf("%s, %v; want %s", got, err, want)
			}
		})
	}
	proc.Await(t, 20*time.Second, func() error {
		// each has a key of its own, and in a batch the others are asked for once
		if asked := int(n.keys.Load()-3*n.commands.Load()) + c.Waiting(); asked < readers {
			return fmt.Errorf("%d of %d readers have asked", asked, readers)
		}
		return nil
	})
	server.Thaw()
	asking.Wait()
	if commands := n.commands.Load(); commands > readers/3 {
		t.Errorf("%d reads took %d commands", readers, commands)
	}
}

func TestAReadThatNobodyIsBesideIsACommandOfItsOwn(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	c := open(t, at(server), patient)
	before := server.Calls()["mget"]
	for range 10 {
		if _, err := c.Read(t.Context(), c.Budget(ample), "lookup",
			[]string{"a", "b"}); err != nil {
			t.Fatal(err)
		}
	}
	if n := server.Calls()["mget"] - before; n != 10 {
		t.Errorf("10 reads, one after the other, took %d commands", n)
	}
}

func TestAReadIsSentAfterItWasAskedFor(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	c := open(t, config.Redis{Host: server.Host(), Port: server.Port(), PoolSize: 50}, patient)
	writer := server.Client()
	defer writer.Close()
	var asking sync.WaitGroup
	for range 24 {
		asking.Go(func() {
			for range 200 {
				written, err := writer.Incr(t.Context(), "counter").Result()
				if err != nil {
					t.Error(err)
					return
				}
				values, err := c.Read(t.Context(), c.Budget(ample), "lookup",
					[]string{"other", "counter"})
				if err != nil {
					t.Error(err)
					return
				}
				if read, _ := strconv.ParseInt(fmt.Sprint(values[1]), 10, 64); read < written {
					t.Errorf("read %v after %d was written", values[1], written)
					return
				}
			}
		})
	}
	asking.Wait()
}

func TestOneWhoLeavesABatchHoldsUpNobody(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	c := open(t, at(server), patient)
	server.Do("SET", "key", "value")
	if _, err := c.Read(t.Context(), nil, "lookup", []string{"key"}); err != nil {
		t.Fatal(err)
	}
	server.Freeze()
	staying := reads(t.Context(), c, ample, 40)
	leaving, leave := context.WithCancel(t.Context())
	left := reads(leaving, c, ample, 40)
	short := reads(t.Context(), c, budget, 40)
	short.all.Wait()
	for _, err := range short.errs {
		if why := redisconn.Reason(err); why != reason.RedisTimeout && why != reason.BreakerOpen {
			t.Errorf("after the budget: %v", err)
		}
	}
	leave()
	const own = 8 // who sent a command for themselves wait for their answer
	proc.Await(t, 20*time.Second, func() error {
		if n := left.ended.Load(); n < int32(len(left.errs)-own) {
			return fmt.Errorf("%d have left", n)
		}
		return nil
	})
	if n := staying.ended.Load(); n > 0 {
		t.Errorf("%d of those who stay have ended", n)
	}
	server.Thaw()
	left.all.Wait()
	staying.all.Wait()
	for i, err := range staying.errs {
		if err != nil && !errors.Is(err, redisconn.ErrAway) ||
			err == nil && staying.values[i][0] != "value" {
			t.Errorf("one who stayed: %v, %v", staying.values[i], err)
		}
	}
}

func TestAFrozenServerHoldsNoReadBeyondItsTimeAndOpensTheBreaker(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	c := open(t, at(server), patient)
	if _, err := c.Read(t.Context(), nil, "lookup", []string{"key"}); err != nil {
		t.Fatal(err)
	}
	server.Freeze()
	begun := time.Now()
	a := reads(t.Context(), c, budget, 64)
	a.all.Wait()
	if took := time.Since(begun); took > bound {
		t.Errorf("the reads took %v", took)
	}
	for i, err := range a.errs {
		if err == nil {
			t.Errorf("read %d of a frozen server: %v", i, a.values[i])
		}
	}
	if c.State() != redisconn.Open {
		t.Errorf("the breaker is %v after %d failures", c.State(), len(a.errs))
	}
	server.Thaw()
	probing(t, c)
	awaitHealthy(t, c)
	if _, err := c.Read(t.Context(), c.Budget(ample), "lookup", []string{"key"}); err != nil {
		t.Errorf("after the thaw: %v", err)
	}
}

func TestReadsEndWhenTheConnectionIsClosed(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	c := open(t, at(server), patient)
	server.Freeze()
	defer server.Thaw()
	a := reads(t.Context(), c, ample, 40)
	proc.Await(t, 20*time.Second, func() error {
		if c.Waiting() == 0 {
			return errors.New("no read waits")
		}
		return nil
	})
	begun := time.Now()
	_ = c.Close()
	a.all.Wait()
	if took := time.Since(begun); took > ample/2 {
		t.Errorf("the reads ended %v after the connection", took)
	}
	for i, err := range a.errs {
		if err == nil {
			t.Errorf("read %d: %v", i, a.values[i])
		}
	}
}

// Reads whose callers have left make room for others, also while no command may be sent.
func TestReadsThatWereLeftDoNotKeepTheQueueFull(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	c := open(t, at(server), patient)
	server.Do("SET", "key", "value")
	end := c.FillQueue()
	ctx, cancel := context.WithTimeout(t.Context(), ample)
	defer cancel()
	a := reads(ctx, c, ample, 1)
	proc.Await(t, ample, func() error {
		if c.Waiting() != 1 {
			return errors.New("the read does not wait for its turn")
		}
		return nil
	})
	end()
	a.all.Wait()
	if a.errs[0] != nil || a.values[0][0] != "value" || c.Queued() != 0 {
		t.Errorf("%v, %v; %d are queued", a.values[0], a.errs[0], c.Queued())
	}
}
