package jobs

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
)

// Where one server has all keys, a submission is one script: asynq's own, which adds the task,
// joined with ours. asynq's client makes the message and calls its script as always. The client of
// Redis that it was given runs the joined script in its place.

// joinedScript is the text around asynq's script, which stands in the place of ASYNQ. It changes
// nothing where the key leads to a job already, where there is no room, or where there is a record.
//
// KEYS the record, the places of the route and of the caller as placeScript has them, the
// Idempotency-Key or the record again, and asynq's own.
// ARGV[1] now; ARGV[2] when places end; ARGV[3] the job; ARGV[4] its size; ARGV[5:8] the most
// members and bytes of each scope; ARGV[9] time to live of the record; ARGV[10] where the key is to
// lead; ARGV[11] its time to live, 0 for no key; ARGV[12] how many of ARGV[13:] are asynq's; the
// others are fields and values.
// Returns "made", "held" with the job that the key leads to, "full" with the scope, or "there"
// with the status of the record.
const joinedScript = room + `
local function enqueue(KEYS, ARGV)
	ASYNQ
end
local status = redis.call('HGET', KEYS[1], 'status')
if status then
	return {'there', status}
end
if ARGV[11] ~= '0' then
	local held = redis.call('GET', KEYS[6])
	if held then
		return {'held', held}
	end
end
for i = 0, 2, 2 do
	if not room(KEYS[2 + i], KEYS[3 + i], ARGV[1], ARGV[3], ARGV[4], ARGV[5 + i], ARGV[6 + i]) then
		return {'full', tostring(i / 2)}
	end
end
for i = 0, 2, 2 do
	take(KEYS[2 + i], KEYS[3 + i], ARGV[3], ARGV[4], ARGV[2])
end
if ARGV[11] ~= '0' then
	redis.call('SET', KEYS[6], ARGV[10], 'PX', ARGV[11])
end
local n = tonumber(ARGV[12])
enqueue({unpack(KEYS, 7)}, {unpack(ARGV, 13, 12 + n)})
redis.call('HSET', KEYS[1], unpack(ARGV, 13 + n))
redis.call('PEXPIRE', KEYS[1], ARGV[9])
return {'made', ''}`

// The answers of a joined script.
const (
	joinedMade  = "made"
	joinedHeld  = "held"
	joinedFull  = "full"
	joinedThere = "there"
)

// A joined is our part of a script, and the answer to all of it.
type joined struct {
	keys         []string
	args, fields []any
	what, detail string
}

type joinedKey struct{}

// joinedOf is our part of the script that is sent with ctx; nil for none.
func joinedOf(ctx context.Context) *joined {
	part, _ := ctx.Value(joinedKey{}).(*joined)
	return part
}

// joinedScripts are those that were made, by asynq's text: it has one for a task that is due at
// once, and one for a later time.
var joinedScripts sync.Map

// run runs our part with asynq's script, and answers asynq that its task is there.
func (p *joined) run(
	ctx context.Context, c traced, asynqs string, keys []string, args []any,
) *redis.Cmd {
	script, ok := joinedScripts.Load(asynqs)
	if !ok {
		text := strings.Replace(joinedScript, "ASYNQ", asynqs, 1)
		script, _ = joinedScripts.LoadOrStore(asynqs, redis.NewScript(text))
	}
	keys = append(slices.Clip(p.keys), keys...)
	args = slices.Concat(p.args, []any{len(args)}, args, p.fields)
	ctx = context.WithValue(ctx, joinedKey{}, (*joined)(nil))
	cmd := script.(*redis.Script).Run(ctx, c, keys, args...)
	answer, err := cmd.StringSlice()
	if err != nil || len(answer) != 2 {
		return cmd
	}
	p.what, p.detail = answer[0], answer[1]
	done := redis.NewCmd(ctx)
	done.SetVal(int64(1))
	return done
}

// errNoScript makes asynq send the text of its script.
type errNoScript struct{}

func (errNoScript) Error() string { return "NOSCRIPT the text is wanted" }
func (errNoScript) RedisError()   {}

// submitJoined is Submit by one script. The record is unconfirmed until it is certain that its
// submission has heard of it: no worker runs it before, so that a submission without an answer can
// still be withdrawn.
func (j *Jobs) submitJoined(ctx context.Context, b *redisconn.Budget, s Submission) Receipt {
	if _, ok := j.mac("task"); !ok {
		return Receipt{Outcome: Declined, Why: reason.KeySecretUnknown}
	}
	id := newID()
	h := j.newHold(s, id)
	record := j.newRecord(s, id, h)
	record.unconfirmed = true
	slots, here := j.begins(ctx, s, id)
	if here {
		record.beginHere()
	}
	part, fate := j.join(ctx, b, s, h, record, here)
	if part.what == joinedMade {
		j.confirmSoon(id, s.Job.Queue)
		j.Queued(s.Route, s.Job.Queue)
		r := Receipt{Outcome: Accepted, ID: id, Status: record.Status, Why: reason.Queued}
		if here {
			r.Local = j.runHere(record, s, slots, true)
		}
		return r
	}
	j.dropSlots(id, slots)
	switch {
	case fate.certainlyNot():
		return Receipt{Outcome: Declined, Why: reason.JobStoreAway}
	case part.what == joinedHeld:
		return j.follow(ctx, b, s, h, holdFrom(h, part.detail))
	case part.what == joinedFull:
		return fullReceipt(part.scope())
	case part.what == joinedThere && Status(part.detail) != withdrawn: // the script was sent twice
		j.confirmSoon(id, s.Job.Queue)
		return Receipt{Outcome: Accepted, ID: id, Status: Status(part.detail), Why: reason.Queued}
	}
	h.id = id
	if !j.withdraw(s.Job.Queue, h) { // workers may find a record, and run the job
		return Receipt{Outcome: Uncertain, Why: reason.EnqueueUnknown}
	}
	j.leaveLater(s.Route, s.Owner, id)
	return Receipt{Outcome: Withdrawn, ID: id, Why: reason.EnqueueUnknown}
}

// join sends the script. Where there is no room it looks for places of jobs that are over, and
// tries once more.
func (j *Jobs) join(
	ctx context.Context, b *redisconn.Budget, s Submission, h hold, r Record, here bool,
) (*joined, fate) {
	for again := false; ; again = true {
		part := j.part(s, h, r)
		with := context.WithValue(ctx, joinedKey{}, part)
		fate := j.enqueue(with, b, s, r.ID, r.Queued, s.due(here))
		if part.what != joinedFull || again {
			return part, fate
		}
		if j.audit(ctx, b, scopesOf(s.Route, s.Owner)[part.scope()]) == 0 {
			return part, fate
		}
	}
}

// scope is the one that has no room.
func (p *joined) scope() int {
	if p.detail == "0" {
		return 0
	}
	return 1
}

// part is our part of the script.
func (j *Jobs) part(s Submission, h hold, r Record) *joined {
	p := &joined{keys: []string{j.Names.Job(r.ID)}, fields: r.fields()}
	now := time.Now()
	p.args = []any{now.UnixMilli(), now.Add(pendingLife).UnixMilli(), r.ID, len(r.request)}
	limits := s.limits()
	for i, d := range scopesOf(s.Route, s.Owner) {
		p.keys = append(p.keys, j.placeKeys(d)...)
		p.args = append(p.args, limits[i][0], limits[i][1])
	}
	key, life := h.key, h.lasts()
	if key == "" {
		key, life = p.keys[0], 0
	}
	p.keys = append(p.keys, key)
	p.args = append(p.args, r.waits().Milliseconds(), h.value(), life.Milliseconds())
	return p
}
