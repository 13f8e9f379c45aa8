package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// run serves until ctx is done, and then ends in order. Where SIGTERM was the cause it goes on for
// SHUTDOWN_DELAY.
func (s *sidecar) run(ctx context.Context) error {
	defer s.close()
	// ends after the last request in flight
	work, endWork := context.WithCancel(context.Background())
	defer endWork()
	workers, endWorkers := context.WithCancel(context.Background())
	defer endWorkers()
	var background, working sync.WaitGroup
	for _, run := range append(s.loops(), s.hangUps) {
		background.Go(func() { run(work) })
	}
	working.Go(func() {
		if err := s.jobs.RunWorkers(workers); err != nil {
			s.log.Error("the workers ended", "error", err)
		}
	})
	working.Go(func() { s.jobs.RunSchedules(workers) })
	failed := make(chan error, 2)
	for _, server := range []serving{s.data, s.ops} {
		background.Go(func() {
			if err := server.serve(); err != nil {
				failed <- err
			}
		})
	}
	s.log.Info("listening", "data", s.data.listener.Addr().String(), "ops",
		s.ops.listener.Addr().String(),
		"version", version, "policies", s.policies.Table().Version())

	var err error
	select {
	case <-ctx.Done():
		s.leave(ctx, endWorkers, failed)
	case err = <-failed:
	}
	s.leaving.Store(true)
	s.log.Info("ending: no new requests are taken")
	deadline, cancel := context.WithTimeout(context.Background(), s.cfg.Shutdown-s.cfg.Shutdown/10)
	defer cancel()
	ended := make(chan struct{})
	go func() { // ends with the process at the latest
		defer close(ended)
		endWorkers()
		s.hook.End()
		s.drain(deadline)
		working.Wait()
		s.proxy.Close()
		stored, cancel := context.WithTimeout(deadline, s.cfg.Shutdown/storeShare)
		defer cancel()
		s.store.Close(stored)
		s.cutOff()
		s.backend.Close()
		traced, cancel := context.WithTimeout(deadline, s.cfg.Shutdown/traceShare)
		defer cancel()
		s.tracer.Shutdown(traced)
		s.ops.stop(deadline, s.log)
		endWork()
		background.Wait()
	}()
	select {
	case <-ended:
		s.log.Info("ended")
	case <-time.After(s.cfg.Shutdown):
		s.log.Warn("ended before everything was done: SHUTDOWN_TIMEOUT is over")
	}
	return err
}

// sendElsewhere tells load balancers, by readiness, and clients, by the last answer on each
// connection, to go elsewhere. Everything is served meanwhile.
func (s *sidecar) sendElsewhere() {
	if !s.leaving.Swap(true) {
		s.log.Info("leaving: everything is served until load balancers have noticed")
	}
}

// leave sends clients elsewhere for SHUTDOWN_DELAY, after SIGTERM. Workers take no more jobs.
func (s *sidecar) leave(ctx context.Context, endWorkers func(), failed <-chan error) {
	if !errors.Is(context.Cause(ctx), errTerminated) || s.cfg.ShutdownDelay == 0 {
		return
	}
	s.sendElsewhere()
	endWorkers()
	select {
	case <-time.After(s.cfg.ShutdownDelay):
	case err := <-failed:
		s.log.Error("a server has ended", "error", err)
	}
}

// streamShare is the share of SHUTDOWN_TIMEOUT that WebSockets and event streams have: they may
// never end by themselves.
const streamShare = 5

// storeShare is the share of it that the stores behind the last answers have: Redis may be silent.
const storeShare = 10

// traceShare is the share of it that the last spans have: their collector may be away.
const traceShare = 10

// drain takes no new connections and returns when the requests in flight are answered and the
// streams have ended, or when they are cut off.
func (s *sidecar) drain(deadline context.Context) {
	defer time.AfterFunc(s.cfg.Shutdown/streamShare, s.endStreams).Stop()
	s.data.stop(deadline, s.log)
	s.backend.AwaitSockets(deadline)
}
