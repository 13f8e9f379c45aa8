package cachekeys

// Names makes every Redis key of the cache of one API. Braces hold the part that Redis Cluster hashes, so that what
// one script touches lies on one slot.
type Names struct {
	prefix string
}

// NewNames returns the names under prefix (REDIS_KEY_PREFIX), which must not be empty.
func NewNames(prefix string) Names { return Names{prefix} }

// Token holds a tag's token. Absent: unknown, or closed.
func (n Names) Token(tag Digest) string { return n.prefix + ":t:{" + tag.String() + "}" }

// Entry holds a stored response, or the list of fields by which its variants are told apart.
func (n Names) Entry(key Digest) string { return n.prefix + ":e:{" + key.String() + "}" }

// Secret holds, in the job store, the HMAC key of caller digests where none is configured.
func (n Names) Secret() string { return n.prefix + ":secret" }

// Probe is the key that the sidecar's own probe writes and reads.
func (n Names) Probe() string { return n.prefix + ":probe" }

// Job holds what is known of one job, by its id.
func (n Names) Job(id string) string { return n.prefix + ":j:{" + id + "}" }

// Idempotency holds the job that one caller's Idempotency-Key led to.
func (n Names) Idempotency(key Digest) string { return n.prefix + ":i:{" + key.String() + "}" }
