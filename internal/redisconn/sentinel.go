package redisconn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/config"
)

// Times of the Sentinels.
const (
	sentinelTimeout = 300 * time.Millisecond // for all of them to answer
	sentinelFresh   = 100 * time.Millisecond // an answer serves all dials of so long
)

// sentinels know the address of the primary. All are asked, and the answer of the newest
// configuration counts: one that has slept through a failover still names the old primary. It is
// safe for concurrent use.
type sentinels struct {
	master  string
	addrs   []string
	clients []*redis.SentinelClient

	mu     sync.Mutex
	late   []bool // those that did not answer when they were asked last
	addr   string
	asked  time.Time      // when addr was asked for
	asking sync.WaitGroup // of asks whose last answers are out
	closed bool           // no more asks begin
}

func newSentinels(r config.Redis, k *keeper) *sentinels {
	s := &sentinels{master: r.Master, addrs: r.Sentinels.List()}
	s.late = make([]bool, len(s.addrs))
	for _, addr := range s.addrs {
		o := &redis.Options{Addr: addr, PoolSize: 1}
		bounded(o)
		o.Dialer = func(ctx context.Context, _, addr string) (net.Conn, error) {
			a, err := k.current()
			if err != nil {
				return nil, dialError{err}
			}
			return reach(ctx, addr, r.ServerName, a)
		}
		o.CredentialsProviderContext = func(context.Context) (string, string, error) {
			a, err := k.current()
			if err != nil {
				return "", "", err
			}
			return r.SentinelUsername, a.sentinelPassword, nil
		}
		s.clients = append(s.clients, redis.NewSentinelClient(o))
	}
	return s
}

// A sentinelError is an error of a Sentinel, and not of the server that it watches.
type sentinelError struct {
	addr string
	err  error
}

// Error implements error.
func (e *sentinelError) Error() string { return "sentinel " + e.addr + ": " + e.err.Error() }

// Unwrap implements errors.
func (e *sentinelError) Unwrap() error { return e.err }

// An opinion is the answer of one Sentinel.
type opinion struct {
	from  int
	addr  string
	epoch int64 // of the configuration
	err   error
}

// primary is the address of the primary, as the Sentinels know it now.
func (s *sentinels) primary(ctx context.Context) (string, error) {
	s.mu.Lock()
	addr, asked := s.addr, s.asked
	s.mu.Unlock()
	if addr != "" && time.Since(asked) < sentinelFresh {
		return addr, nil
	}
	return s.ask(ctx)
}

// ask asks all Sentinels, and waits for a majority, or for all of those that have answered the last
// time. The others have their time to answer, so that their connections can be kept.
func (s *sentinels) ask(ctx context.Context) (string, error) {
	if !s.begin() {
		return "", &sentinelError{strings.Join(s.addrs, ","), redis.ErrClosed}
	}
	begun := time.Now()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), sentinelTimeout)
	opinions := make(chan opinion, len(s.clients))
	prompt := s.prompt()
	var all sync.WaitGroup
	for i := range s.clients {
		all.Go(func() {
			o := s.opinionOf(bounded, i)
			s.setLate(i, o.err != nil)
			opinions <- o
		})
	}
	go func() { // ends with the last answer, which close awaits
		defer s.asking.Done()
		all.Wait()
		cancel()
	}()
	newest, err := s.newest(ctx, opinions, prompt)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addr, s.asked = newest.addr, begun
	return newest.addr, nil
}

// begin adds an ask; false: it is too late for one.
func (s *sentinels) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.asking.Add(1)
	}
	return !s.closed
}

// newest collects opinions until enough have come.
func (s *sentinels) newest(ctx context.Context, opinions <-chan opinion,
	prompt map[int]bool) (opinion, error) {
	newest, wanted, answered := opinion{epoch: -1}, len(s.clients)/2+1, 0
	var failed error
	for range s.clients {
		var o opinion
		select {
		case o = <-opinions:
		case <-ctx.Done():
			return newest, &sentinelError{strings.Join(s.addrs, ","), ctx.Err()}
		}
		delete(prompt, o.from)
		if o.err != nil {
			failed = o.err
		} else if answered++; o.epoch > newest.epoch {
			newest = o
		}
		if newest.addr != "" && (answered >= wanted || len(prompt) == 0) {
			return newest, nil
		}
	}
	return newest, failed // all have failed
}

// prompt are the Sentinels that are worth waiting for.
func (s *sentinels) prompt() map[int]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	prompt := map[int]bool{}
	for i, late := range s.late {
		if !late {
			prompt[i] = true
		}
	}
	return prompt
}

func (s *sentinels) setLate(i int, late bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late[i] = late
}

func (s *sentinels) opinionOf(ctx context.Context, i int) opinion {
	o := opinion{from: i}
	known, err := s.clients[i].Master(ctx, s.master).Result()
	host, port := known["ip"], known["port"]
	if isReply(err) && says(err.Error(), []string{"NOPERM"}) {
		var addr []string
		if addr, err = s.clients[i].GetMasterAddrByName(ctx, s.master).Result(); len(addr) == 2 {
			host, port = addr[0], addr[1]
		}
	}
	if err == nil && (host == "" || port == "") {
		err = errors.New("it names no address")
	}
	if err != nil {
		o.err = &sentinelError{s.addrs[i], err}
		return o
	}
	o.addr = net.JoinHostPort(host, port)
	o.epoch, _ = strconv.ParseInt(known["config-epoch"], 10, 64)
	return o
}

// close closes the connections to the Sentinels.
func (s *sentinels) close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.asking.Wait()
	var errs []error
	for i, c := range s.clients {
		if err := c.Close(); err != nil {
			errs = append(errs, fmt.Errorf("sentinel %s: %w", s.addrs[i], err))
		}
	}
	return errors.Join(errs...)
}
