package redisconn_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/config"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
	"sidecar/test/faultproxy"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// ample is a time that no read of these tests takes.
const ample = 30 * time.Second

// never is a breaker that stays closed.
var never = config.Breaker{
	MaxRequests: 1, Interval: time.Hour, Timeout: time.Second, MinRequests: 1000, FailureRatio: 1,
}

// reads starts n reads of a key.
func reads(ctx context.Context, c *redisconn.Conn, each time.Duration, n int) *answers {
	return readsOf(ctx, c, each, slices.Repeat([]string{"key"}, n))
}

// readsOf starts a read of each key.
func readsOf(ctx context.Context, c *redisconn.Conn, each time.Duration, keys []string) *answers {
	a := &answers{values: make([][]any, len(keys)), errs: make([]error, len(keys))}
	for i, key := range keys {
		a.all.Go(func() {
			a.values[i], a.errs[i] = c.Read(ctx, c.Budget(each), "lookup", []string{key})
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

// numbered are n different keys.
func numbered(n int) (keys []string) {
	for i := range n {
		keys = append(keys, "key "+strconv.Itoa(i))
	}
	return keys
}

// awaitAsked waits until so many reads, each of another key, are sent or wait.
func awaitAsked(t *testing.T, c *redisconn.Conn, sent *counter, reads int) {
	t.Helper()
	proc.Await(t, 20*time.Second, func() error {
		if asked := int(sent.keys.Load()) + c.Waiting(); asked < reads {
			return fmt.Errorf("%d of %d readers have asked", asked, reads)
		}
		return nil
	})
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
	c := open(t, at(server), never)
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
	// The reads of one round may share a command, whose loss is one failure.
	for round := 0; c.State() != redisconn.Open; round++ {
		if round == 20 {
			t.Fatalf("the breaker is %v after %d rounds", c.State(), round)
		}
		begun, late := time.Now(), proc.Late(t)
		a := reads(t.Context(), c, budget, 64)
		a.all.Wait()
		if took := time.Since(begun) - late(); took > bound {
			t.Errorf("the reads took %v", took)
		}
		for i, err := range a.errs {
			if err == nil {
				t.Errorf("read %d of a frozen server: %v", i, a.values[i])
			}
		}
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
	var n counter
	c.Client().AddHook(&n)
	server.Freeze()
	defer server.Thaw()
	a := readsOf(t.Context(), c, ample, numbered(40))
	awaitAsked(t, c, &n, 40)
	if c.Waiting() == 0 {
		t.Error("no read waits")
	}
	begun, sent := time.Now(), n.commands.Load()
	_ = c.Close()
	a.all.Wait()
	if after := n.commands.Load(); after != sent {
		t.Errorf("%d commands were begun by the end", after-sent)
	}
	if took := time.Since(begun); took > ample/2 {
		t.Errorf("the reads ended %v after the connection", took)
	}
	for i, err := range a.errs {
		if err == nil {
			t.Errorf("read %d: %v", i, a.values[i])
		}
	}
}

// One broken connection is one failure, however many have shared it.
func TestToTheBreakerABatchIsOneCommand(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	p := faultproxy.Start(t, server.Addr())
	host, port, err := net.SplitHostPort(p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, config.Redis{Host: host, Port: port}, never)
	if _, err := c.Read(t.Context(), nil, "lookup", []string{"key"}); err != nil {
		t.Fatal(err)
	}
	var n counter
	c.Client().AddHook(&n)
	server.Freeze()
	defer server.Thaw()
	const readers = 64
	a := readsOf(t.Context(), c, ample, numbered(readers))
	awaitAsked(t, c, &n, readers)
	p.SetCut(true)
	a.all.Wait()
	for i, err := range a.errs {
		if err == nil {
			t.Errorf("read %d: %v", i, a.values[i])
		}
	}
	lost := n.commands.Load()
	if requests, failures := c.Counts(); int32(failures) != lost || int32(requests) != lost+1 {
		t.Errorf("%d lost commands of %d reads: %d requests, %d failures",
			lost, readers, requests, failures)
	}
	if lost > readers/3 {
		t.Errorf("%d reads took %d commands", readers, lost)
	}
}

func TestAnAnswerThatCameWhenMostHadLeftIsAFailure(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	c := open(t, at(server), patient)
	if _, err := c.Read(t.Context(), nil, "lookup", []string{"key"}); err != nil {
		t.Fatal(err)
	}
	var n counter
	c.Client().AddHook(&n)
	end := c.Hold()
	few := readsOf(t.Context(), c, ample, []string{"few"})
	leaving, leave := context.WithCancel(t.Context())
	left := readsOf(leaving, c, ample, []string{"left", "left as well"})
	most := readsOf(t.Context(), c, time.Second, numbered(3))
	awaitAsked(t, c, &n, 6)
	leave()
	left.all.Wait()
	server.Freeze()
	end()
	most.all.Wait()
	server.Thaw()
	few.all.Wait()
	for _, err := range most.errs {
		if redisconn.Reason(err) != reason.RedisTimeout {
			t.Error(err)
		}
	}
	if few.errs[0] != nil {
		t.Error(few.errs[0])
	}
	if requests, failures := c.Counts(); requests != 2 || failures != 1 || n.commands.Load() != 1 {
		t.Errorf("%d requests, %d failures, %d commands", requests, failures, n.commands.Load())
	}
}

// Where their turn does not come, each read that waited is a failure: no command is one for it.
// When the breaker has opened, the others are not sent: a trial is the probe's.
func TestReadsThatAreNeverSentAreFailures(t *testing.T) {
	t.Parallel()
	server := redisd.Start(t)
	c := open(t, at(server), patient)
	var n counter
	c.Client().AddHook(&n)
	end := c.Hold()
	leaving, leave := context.WithCancel(t.Context())
	left := reads(leaving, c, ample, 2)
	others := readsOf(t.Context(), c, ample, numbered(2))
	awaitAsked(t, c, &n, 4)
	leave()
	left.all.Wait()
	if _, failures := c.Counts(); failures > 0 {
		t.Errorf("%d failures of those who left", failures)
	}
	waiting := reads(t.Context(), c, budget, 3)
	waiting.all.Wait()
	if c.State() != redisconn.Open {
		t.Errorf("the breaker is %v after %v", c.State(), waiting.errs)
	}
	proc.Await(t, 20*time.Second, func() error {
		if c.State() != redisconn.HalfOpen {
			return errors.New("not half-open yet")
		}
		return nil
	})
	end()
	others.all.Wait()
	for _, err := range others.errs {
		if !errors.Is(err, redisconn.ErrAway) {
			t.Error(err)
		}
	}
	if sent := n.commands.Load(); sent > 0 || c.State() != redisconn.HalfOpen {
		t.Errorf("%d commands, and the breaker is %v", sent, c.State())
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
