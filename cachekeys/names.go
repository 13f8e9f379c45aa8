package cachekeys

import "strconv"

// Names makes every Redis key of the cache of one API. Braces hold the part that Redis Cluster
// hashes, so that the keys of one script lie on one slot.
type Names struct {
	prefix string
}

// NewNames returns the names under prefix (REDIS_KEY_PREFIX), which must not be empty.
func NewNames(prefix string) Names { return Names{prefix} }

// Prefix begins every key.
func (n Names) Prefix() string { return n.prefix + ":" }

// Token holds a tag's token. Absent: unknown, or closed.
func (n Names) Token(tag Digest) string { return n.prefix + ":t:{" + slot(tag) + "}" }

// Intents holds the intents of the writes to a tag that are under way, and the token that they put
// aside.
func (n Names) Intents(tag Digest) string { return n.prefix + ":w:{" + slot(tag) + "}" }

// Known holds the replication ids that have been seen. It lies on the slot of All's token.
func (n Names) Known() string { return n.prefix + ":known:{all}" }

// Rules holds the digests of the invalidation rules in force somewhere. It lies on the slot of
// All's token.
func (n Names) Rules() string { return n.prefix + ":rules:{all}" }

// Lease holds who fetches the answer for a key.
func (n Names) Lease(key Digest) string { return n.prefix + ":l:{" + key.String() + "}" }

// Channel is where invalidations are published.
func (n Names) Channel() string { return n.prefix + ":invalidated" }

// TokenPrefix and IntentsPrefix are the text before the brace of such keys, for scripts that make
// them from the members of Rules.
func (n Names) TokenPrefix() string   { return n.prefix + ":t:" }
func (n Names) IntentsPrefix() string { return n.prefix + ":w:" }

// slot is the text in the braces of a tag's keys.
func slot(tag Digest) string {
	if tag == allDigest {
		return "all"
	}
	return tag.String()
}

var allDigest = All.Digest()

// Entry holds a stored response, or the list of fields by which its variants are told apart.
func (n Names) Entry(key Digest) string { return n.prefix + ":e:{" + key.String() + "}" }

// Chunk holds the nth part, from 0, of a body that is too long for one record. id is that of one
// store of one body, in hexadecimal digits, and is never used again: chunks of two stores never
// mix. All chunks of a body lie on one slot.
func (n Names) Chunk(id string, nth int) string {
	return n.prefix + ":p:{" + id + "}:" + strconv.Itoa(nth)
}

// Secret holds, in the job store, the HMAC key of caller digests where none is configured.
func (n Names) Secret() string { return n.prefix + ":secret" }

// Probe is the key that the sidecar's own probe writes and reads.
func (n Names) Probe() string { return n.prefix + ":probe" }

// Job holds the record of one job, by its id.
func (n Names) Job(id string) string { return n.prefix + ":j:{" + id + "}" }

// Places holds the jobs of a scope that are not over: a route, or one caller in it.
func (n Names) Places(scope Digest) string { return n.prefix + ":jp:{" + scope.String() + "}" }

// Slots holds the jobs of a scope that run.
func (n Names) Slots(scope Digest) string { return n.prefix + ":jr:{" + scope.String() + "}" }

// Line holds the jobs of a route that wait for a slot.
func (n Names) Line(scope Digest) string { return n.prefix + ":jw:{" + scope.String() + "}" }

// Scheduler is the lease of the sidecar that submits the jobs of schedules; its counter lies on the
// same slot.
func (n Names) Scheduler() (lease, counter string) {
	return n.prefix + ":jl:{schedules}", n.prefix + ":jl:{schedules}:fence"
}

// Schedule holds the last tick of a schedule, by its name.
func (n Names) Schedule(name string) string { return n.prefix + ":js:{" + name + "}" }

// JobNews is the channel on which changes of jobs are published.
func (n Names) JobNews() string { return n.prefix + ":jobs" }

// Idempotency holds the job that one caller's Idempotency-Key led to.
func (n Names) Idempotency(key Digest) string { return n.prefix + ":i:{" + key.String() + "}" }
