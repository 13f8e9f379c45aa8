package jobs

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/lease"
	"sidecar/policy"
)

// One sidecar, the holder of a lease, submits the jobs of schedules. It has no more to do with how
// they run. A tick has one job however many sidecars take themselves for the leader: the job's id
// is made of the schedule and the tick, and only one task and one record of an id can be created. A
// former leader's writes about a tick are refused by its fencing number.
const (
	scheduleLook   = 500 * time.Millisecond // between two looks for ticks, or for the lease
	scheduleLate   = time.Minute            // a tick that comes no later is on time
	maxMissed      = 100_000                // ticks that are counted
	scheduleOwner  = "schedule:"            // and the name: no caller's ID has a colon
	scheduleMemory = 400 * 24 * time.Hour   // of the last tick, which is older than that of no cron
)

// tickScript notes a tick.
//
// KEYS[1] the schedule's hash; ARGV[1] the fencing number; ARGV[2] ticks that were missed;
// ARGV[3] time to live; ARGV[4:] fields and values.
// Returns 1, or 0 for a former leader.
var tickScript = redis.NewScript(`
if tonumber(redis.call('HGET', KEYS[1], 'fence') or 0) > tonumber(ARGV[1]) then
	return 0
end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], unpack(ARGV, 4))
if ARGV[2] ~= '0' then
	redis.call('HINCRBY', KEYS[1], 'missed', ARGV[2])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`)

// RunSchedules submits the jobs of schedules while this sidecar is the leader, until ctx is done.
func (j *Jobs) RunSchedules(ctx context.Context) {
	if j.Schedules == nil || j.Leases == nil {
		return
	}
	for ctx.Err() == nil {
		if len(j.Schedules()) > 0 {
			j.lead(ctx)
		}
		select {
		case <-ctx.Done():
		case <-time.After(scheduleLook):
		}
	}
}

// lead takes the lease, and looks for ticks as long as it has it.
func (j *Jobs) lead(ctx context.Context) {
	key, counter := j.Names.Scheduler()
	taking, cancel := context.WithTimeout(ctx, recordTimeout)
	l, err := j.Leases.Take(taking, nil, lease.Request{Key: key, Counter: counter}, "")
	cancel()
	if err != nil || l.State() != lease.Held {
		return
	}
	keeping, endKeeping := context.WithCancel(ctx)
	kept := make(chan struct{})
	go func() { defer close(kept); l.Keep(keeping) }()
	defer func() {
		endKeeping()
		<-kept
		giving, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer cancel()
		l.Release(giving)
	}()
	for l.State() == lease.Held {
		for _, s := range j.Schedules() {
			if l.State() != lease.Held || ctx.Err() != nil {
				return
			}
			if err := j.tick(ctx, s, l.Fence(), time.Now()); err != nil {
				j.Log.Warn("a schedule waits for the job store", "schedule", s.Name, "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(scheduleLook):
		}
	}
}

// A ScheduleState is a schedule in /status.
type ScheduleState struct {
	Last    *time.Time `json:"last,omitempty"` // tick that was run
	Next    *time.Time `json:"next,omitempty"`
	Outcome Status     `json:"outcome,omitempty"` // of the last one's job
	JobID   string     `json:"job_id,omitempty"`
	Missed  int        `json:"missed"` // ticks that nobody took
	seen    time.Time  // the last tick that was run or missed
	cron    string
}

// scheduleState reads how far a schedule is.
func (j *Jobs) scheduleState(ctx context.Context, name string) (s ScheduleState, err error) {
	err = j.Redis.Do(ctx, nil, "schedule",
		func(ctx context.Context, c redis.UniversalClient) error {
			fields, err := c.HGetAll(ctx, j.Names.Schedule(name)).Result()
			if err != nil {
				return err
			}
			at := func(name string) time.Time {
				ms, _ := strconv.ParseInt(fields[name], 10, 64)
				return time.UnixMilli(ms).UTC()
			}
			s.cron, s.JobID = fields["cron"], fields["job"]
			s.Missed, _ = strconv.Atoi(fields["missed"])
			if fields["seen"] != "" {
				s.seen = at("seen")
			}
			if fields["last"] != "" {
				last := at("last")
				s.Last = &last
			}
			return nil
		})
	return s, err
}

// tick runs the schedule if it is due.
func (j *Jobs) tick(ctx context.Context, s *policy.Schedule, fence uint64, now time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	state, err := j.scheduleState(ctx, s.Name)
	if err != nil {
		return err
	}
	if state.seen.IsZero() || state.cron != s.Cron.String() { // it is new, or another one now
		return j.noteTick(ctx, s, fence, 0, "seen", now.UnixMilli())
	}
	due, missed := dueTick(s.Cron, state.seen, now)
	if due.IsZero() {
		return nil
	}
	tooLate := now.Sub(due) > scheduleLate && !s.CatchUp
	if tooLate {
		missed++
	}
	if missed > 0 && j.hasTick(ctx, s, s.Cron.Next(state.seen)) {
		missed-- // a leader was lost when it had submitted the job, and not yet noted the tick
	}
	if missed > 0 {
		j.Log.Warn("nobody could take ticks of a schedule", "schedule", s.Name, "missed", missed)
	}
	if tooLate {
		return j.noteTick(ctx, s, fence, missed, "seen", due.UnixMilli())
	}
	id, ok := j.tickID(s.Name, due)
	if !ok {
		return errNotYet
	}
	if r := j.submit(ctx, nil, j.tickOf(s, due), id, hold{}, true); r.Outcome != Accepted {
		return errNotYet
	}
	return j.noteTick(ctx, s, fence, missed, "seen", due.UnixMilli(), "last",
		due.UnixMilli(), "job", id)
}

// hasTick reports whether a tick has its job.
func (j *Jobs) hasTick(ctx context.Context, s *policy.Schedule, tick time.Time) bool {
	id, ok := j.tickID(s.Name, tick)
	if !ok {
		return false
	}
	_, err := j.Job(ctx, nil, id)
	return err == nil
}

// dueTick is the last tick after seen that has come, and how many before it have; zero if none has.
func dueTick(c policy.Cron, seen, now time.Time) (due time.Time, missed int) {
	for t := c.Next(seen); !t.IsZero() && !t.After(now) && missed < maxMissed; t = c.Next(t) {
		if !due.IsZero() {
			missed++
		}
		due = t
	}
	return due, missed
}

func (j *Jobs) noteTick(ctx context.Context, s *policy.Schedule, fence uint64, missed int,
	fields ...any) error {
	args := append([]any{fence, missed, scheduleMemory.Milliseconds(), "cron", s.Cron.String()},
		fields...)
	return j.Redis.Do(ctx, nil, "schedule-tick",
		func(ctx context.Context, c redis.UniversalClient) error {
			return tickScript.Run(ctx, c, []string{j.Names.Schedule(s.Name)}, args...).Err()
		})
}

// tickID is the id of the job of a tick. Nobody without the secret can tell it.
func (j *Jobs) tickID(name string, tick time.Time) (id string, ok bool) {
	secret := j.Secret()
	if secret == nil {
		return "", false
	}
	h := hmac.New(sha256.New, secret)
	addParts(h, "sidecar schedule", j.Prefix, name, strconv.FormatInt(tick.Unix(), 10))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:idBytes]), true
}

// tickOf is the submission of a tick.
func (j *Jobs) tickOf(s *policy.Schedule, tick time.Time) Submission {
	fields := s.Fields(tick)
	host := "localhost"
	if len(fields["Host"]) > 0 {
		host = fields.Get("Host")
		delete(fields, "Host")
	}
	if len(fields["User-Agent"]) == 0 {
		fields["User-Agent"] = []string{"sidecar"}
	}
	return Submission{
		Route: s.Name, Job: s.Job, Owner: scheduleOwner + s.Name,
		Request: &Request{
			Method: s.Method, Target: s.Target, Host: host, Proto: "HTTP/1.1",
			RemoteAddr: "127.0.0.1:0",
			Fields:     fields, Body: s.Body(tick),
		},
	}
}

// planOf is the plan of a job's request. That of a schedule runs though no job route matches it,
// and though clients are denied its path.
func (j *Jobs) planOf(r Record, req *Request) *policy.Plan {
	plan := j.Plan(req.view(), r.Queued)
	name, ok := strings.CutPrefix(r.Owner, scheduleOwner)
	if !ok || j.Schedules == nil {
		return plan
	}
	for _, s := range j.Schedules() {
		if s.Name == name {
			own := *plan
			own.Kind, own.Job, own.Route = policy.Job, s.Job, s.Name
			return &own
		}
	}
	return &policy.Plan{} // another sidecar may have it
}

// ReportSchedules is the part of /status about schedules.
func (j *Jobs) ReportSchedules(ctx context.Context) (name string, value any, degraded []string) {
	states := map[string]ScheduleState{}
	if j.Schedules == nil {
		return "schedules", states, nil
	}
	for _, s := range j.Schedules() {
		state, err := j.scheduleState(ctx, s.Name)
		if err != nil {
			return "schedules", nil, []string{"the schedules are not known: the job store is away"}
		}
		if !state.seen.IsZero() {
			next := s.Cron.Next(state.seen).UTC()
			state.Next = &next
		}
		if state.JobID != "" {
			if r, err := j.Job(ctx, nil, state.JobID); err == nil {
				state.Outcome = r.Status
			}
		}
		states[s.Name] = state
	}
	return "schedules", states, nil
}
