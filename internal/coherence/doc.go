// Package coherence is the protocol that keeps the cache's promise after a write: once a write
// that a policy matches has been answered, no later GET is answered with data older than that
// write.
//
// # The idea
//
// A tag's key in Redis holds a random token. To invalidate a tag is to delete its key. An entry
// carries a Stamp: the tokens that its filler read before its backend request. It is alive while
// all of them still stand. Tokens are only compared for equality, so nothing can go backwards, and
// a key that is lost for any reason (eviction, expiry, FLUSHALL, a restart without data) is an
// invalidation, never a validity.
//
// # Invariants
//
//   - A write deletes token t after its commit and before its answer. A later GET that reads
//     token n there knows that n was created after that deletion, so the fetch behind any entry
//     that carries n began after the commit.
//   - A deleted token never returns (token.go). The one exception: refused writes put a token
//     aside and bring it back (scripts.go), because they have changed nothing.
//   - While the intent of a write stands, no token of its tags is made: answers that are read
//     meanwhile are neither stored nor shared.
//   - Equal tokens, guards included, prove that no write was acknowledged between two fillers.
//   - Data that comes back older than it was comes back under a replication id that nobody has
//     met: the tag All is deleted first (incarnation.go), and every entry carries it.
//   - All connections lead to one server (each primary of a Cluster by itself), and that server has
//     said within the last second that it is the primary behind its address (redisconn's watch). A
//     process that finds another server there deletes All, since it may have invalidated on the one
//     before.
//   - Each tag stands by itself: no atomicity between keys or steps is needed. Intents expire by
//     Redis's clock, and no step compares the clocks of two machines. An intent that expires
//     early does no harm while its writer lives: the end of the write deletes again.
//
// # The steps
//
//	Greet       before the first use of a connection: which server is it (incarnation.go)
//	Open        before the backend request: the tokens that the entry will carry (open.go)
//	Learn       after the answer, for tags that it names, if their guards stand (learn.go)
//	Judge       at every use: alive, dead, or tokens have to be read first (verdict.go)
//	Begin       before the backend has a whole write: its tags are closed (write.go)
//	End         after the backend's answer, before the client's: guards, tags, own memory
//	Invalidate  the same for purges and jobs, which never begin (invalidate.go)
//
// Each step names the work for every tag. One file (step.go) turns it into a script call on one
// server, or into a pipeline of calls in Cluster.
//
// Tokens are opened before the fetch, so a store may come as late as it likes. A write is begun
// before the backend has all of it, so a sidecar that is killed after the commit leaves its tags
// closed. A write that does not begin is as correct once it has ended.
// Guards are ended before tags, so a filler that finds a guard standing knows that no tag under it
// has been deleted yet. Own memory is told before the answer, other processes by a push after the
// deletion (push.go, invalidationlog.go). A process knows by its own echo, which comes back behind
// everything that was published before it, whether it has caught up.
//
// An invalidation that failed, or whose outcome is unknown, is made good before this process reads
// anything from that keyspace again (dirty.go). Every doubt makes the cache colder.
//
// The module coherence-model searches the protocol for holes. test/check looks for them in the
// running product, and shows for each field of Disabled the failure that it prevents.
package coherence
