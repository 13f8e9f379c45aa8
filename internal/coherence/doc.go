// Package coherence is the protocol by which the cache keeps its promise after a write: once a write that a policy
// matches has been answered, no later GET is answered from data older than that write.
//
// # The idea
//
// A tag's key in Redis holds a random token. To invalidate a tag is to delete its key. An entry carries a Stamp: the
// tokens that its filler read before its backend request. It is alive while each of them still stands. Nothing is
// compared but equality, so nothing can go backwards, and a key that is lost for any reason (eviction, expiry,
// FLUSHALL, a restart without data) is an invalidation, never a validity.
//
// # Invariants
//
//   - A write deletes token t after its commit and before its answer. A later GET that reads token n there knows that n
//     was created after that deletion, so the fetch behind any entry that carries n began after the commit.
//   - A deleted token never returns (token.go), but for one that only refused writes put aside (scripts.go): they changed nothing.
//   - While the intent of a write stands, no token of its tags is made: what is read meanwhile is neither stored nor shared.
//   - Equal tokens, guards included, prove that no write was acknowledged between two fillers.
//   - Data that comes back older than it was comes back under a replication id that nobody has met: the tag All is deleted first
//     (incarnation.go), and every entry carries it.
//   - Each tag stands by itself: no atomicity between keys or steps is needed. Intents run out by Redis's clock, nothing else looks at a clock of
//     another machine, and an intent that runs out early harms nobody while its writer lives: the end deletes again.
//
// # The steps
//
//	Greet       before the first use of a connection: whom are we talking to (incarnation.go)
//	Open        before the backend request of a fill: the tokens that the entry will carry (open.go), and who fetches (lease.go)
//	Learn       after the answer, if it names tags that were not known before: their tokens, if their guards still stand
//	Judge       at every use: alive, dead, or tokens are missing that must be read first (verdict.go)
//	Begin       before a write is forwarded: its tags are closed (write.go)
//	End         after the backend's answer, before the client's: guards before tags; then own memory, then the answer
//	Invalidate  the same for what was never begun: purges, attempts of jobs (invalidate.go)
//
// Tokens are opened before the fetch, so that a store may come as late as it likes. A write is begun before it is forwarded, so that a sidecar that is killed
// after the commit leaves its tags closed, not open with old entries. Guards are ended before tags, so that a filler that finds a guard standing knows
// that no tag under it has been deleted yet. Own memory is told before the answer, and other processes by a push after the deletion (push.go, invalidationlog.go);
// a process knows by its own echo, which comes back behind all that was published before it, whether it has caught up.
//
// An invalidation that failed, or of which nobody knows, is made good before this process reads anything from that
// keyspace again (dirty.go). Here every doubt makes the cache colder.
//
// The module coherence-model beside this package's searches the protocol for holes; test/check looks for them in the running product, and for each of Guards
// sees what breaks without it.
package coherence
