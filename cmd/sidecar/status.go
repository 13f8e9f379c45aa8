package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"sidecar/internal/ops"
	"sidecar/internal/redisconn"
)

// ready says why the sidecar does not take traffic. Redis being away is no reason: the backend
// answers then.
func (s *sidecar) ready(ctx context.Context) error {
	switch {
	case s.leaving.Load():
		return errors.New("the sidecar is leaving or ending")
	case !s.hasGreeted():
		return errors.New("the cache's Redis has not answered yet")
	case s.cfg.Ready == "never", s.cfg.Ready == "started" && s.answered.Load():
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Backend.Dial)
	defer cancel()
	if err := s.backend.Healthy(ctx); err != nil {
		return err
	}
	s.answered.Store(true)
	return nil
}

// noteAnswer is called for each answer of the backend. Processors share the flag: it is set once.
func (s *sidecar) noteAnswer() {
	if !s.answered.Load() {
		s.answered.Store(true)
	}
}

// greetTime is how long readiness waits at the start for the cache's Redis, so that a rollout does
// not send every first request past the cache.
const greetTime = 2 * time.Second

// hasGreeted reports whether the cache's Redis has answered once and the secret of its keys is
// known, or greetTime is over.
func (s *sidecar) hasGreeted() bool {
	return s.cache.HasAnswered() && s.secret.Value() != nil || time.Since(s.made) >= greetTime
}

// policiesInForce is the answer of /admin/policies.
func (s *sidecar) policiesInForce() any {
	t := s.policies.Table()
	return map[string]any{
		"file": s.cfg.Policies, "version": t.Version(), "loaded_at": s.policies.LoadedAt().UTC(),
		"routes": t.Routes(),
	}
}

// A report is one part of /status.
type report func(ctx context.Context) (name string, value any, degraded []string)

// Report implements ops.Reporter.
func (r report) Report(ctx context.Context) (string, any, []string) { return r(ctx) }

func (s *sidecar) reporters() []ops.Reporter {
	return []ops.Reporter{
		reportOf("redis", "the cache's Redis", s.cache),
		reportOf("jobs_redis", "the job store", s.jobsConn),
		report(func(context.Context) (string, any, []string) {
			return "breaker", s.breakers(), nil
		}),
		report(s.reportBackend),
		report(s.reportInvalidations),
		report(s.reportMemory),
		report(s.reportIncarnation),
		report(s.reportPolicies),
		report(s.reportVerified),
		report(s.reportAdvice),
		s.secret,
		s.jobs,
		report(s.jobs.ReportSchedules),
	}
}

// breakers are the states of the breakers, and the last error of a Redis that is away.
func (s *sidecar) breakers() map[string]string {
	states := map[string]string{}
	for name, conn := range map[string]*redisconn.Conn{"cache": s.cache, "jobs": s.jobsConn} {
		states[name] = conn.State().String()
		if err := conn.Healthy(); err != nil {
			states[name+"_error"] = err.Error()
		}
	}
	return states
}

// manyErrors is how many answers 5xx in a row are no accident of a single request.
const manyErrors = 10

func (s *sidecar) reportBackend(context.Context) (string, any, []string) {
	r := s.backend.Report()
	switch {
	case r.Reachable != nil && !*r.Reachable:
		return "backend", r, []string{"the API does not answer: " + r.LastError}
	case r.ErrorsInARow >= manyErrors:
		return "backend", r, []string{fmt.Sprintf(
			"the API answers with errors: the last %d answers were 5xx, since %s",
			r.ErrorsInARow, r.ErrorsSince.Format(time.RFC3339))}
	}
	return "backend", r, nil
}

func reportOf(name, what string, conn *redisconn.Conn) report {
	return func(context.Context) (string, any, []string) {
		var degraded []string
		if err := conn.Healthy(); err != nil {
			degraded = []string{fmt.Sprintf("%s is away: %v", what, err)}
		}
		if why := conn.Unrenewed(); why != "" {
			degraded = append(degraded,
				fmt.Sprintf("%s: a new password or certificate cannot be used, the old one is: %s",
					what, why))
		}
		return name, conn.Stats(), degraded
	}
}

func (s *sidecar) reportInvalidations(context.Context) (string, any, []string) {
	n := s.keyspace.Pending()
	if n == 0 {
		return "invalidations_pending", 0, nil
	}
	return "invalidations_pending", n,
		[]string{"invalidations wait for Redis: nothing is read from it until they are made good"}
}

func (s *sidecar) reportMemory(context.Context) (string, any, []string) {
	m := s.store.Memory()
	value := map[string]any{
		"bytes": m.Bytes, "limit": m.Limit, "entries": m.Entries, "evictions": m.Evictions,
	}
	if fault := s.keyspace.PushFault(); fault != "" {
		return "memory", value, []string{
			"nothing is answered from memory, since what other sidecars invalidate is not heard: " +
				fault,
		}
	}
	return "memory", value, nil
}

func (s *sidecar) reportIncarnation(context.Context) (string, any, []string) {
	if !s.incarnation.Untold() {
		return "incarnation", "known", nil
	}
	return "incarnation", "unknown",
		[]string{"Redis does not answer INFO replication: the cache is emptied at every new " +
			"connection. Allow INFO to the user that the sidecar has"}
}

func (s *sidecar) reportPolicies(context.Context) (string, any, []string) {
	value := map[string]any{
		"version": s.policies.Table().Version(), "loaded_at": s.policies.LoadedAt().UTC(),
	}
	if fault := s.policies.Fault(); fault != "" {
		return "policies", value,
			[]string{"the policies file is refused, the old policies are in force: " + fault}
	}
	return "policies", value, nil
}

// reportVerified says what the comparisons of hits with the API's answers prove.
func (s *sidecar) reportVerified(context.Context) (string, any, []string) {
	return "verified", s.proxy.Verified(), nil
}

// reportAdvice names settings that work and could be better.
func (s *sidecar) reportAdvice(context.Context) (string, any, []string) {
	return "advice", s.advice(), nil
}

func (s *sidecar) advice() []string {
	advice := []string{}
	withJobs := s.policies.Table().HasJobs()
	if withJobs && !s.cfg.JobsKeys.IsSet() {
		advice = append(advice, unsealed)
	}
	return append(advice, redisconn.Advice(s.cache, s.jobsConn, withJobs)...)
}

// giveAdvice logs each piece of advice once, until ctx is done.
func (s *sidecar) giveAdvice(ctx context.Context) {
	given := map[string]bool{unsealed: true} // which has been said
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		for _, a := range s.advice() {
			if !given[a] && len(given) < maxAdvice {
				given[a] = true
				s.log.Warn(a)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// maxAdvice bounds the advice that a process logs.
const maxAdvice = 100

// hangUps reads the policies again at each SIGHUP.
func (s *sidecar) hangUps(ctx context.Context) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hup:
			_ = s.policies.Reload() // logged and counted
		}
	}
}
