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
// # Why it holds
//
//   - A write deletes token t after its commit and before its answer. A later GET that reads token n there knows that n
//     was created after that deletion, so the fetch behind any entry that carries n began after the commit.
//   - A deleted token never returns, for tokens are unique (token.go).
//   - Each tag stands by itself: no atomicity between keys or steps is needed.
//
// # The steps
//
//	Open        before the backend request of a fill: the tokens that the entry will carry (open.go)
//	Learn       after the answer, if it names tags that were not known before: their tokens, if their guards still stand
//	Judge       at every use: alive, dead, or tokens are missing that must be read first (verdict.go)
//	Invalidate  after a write's commit, before its answer; guards before tags (invalidate.go)
//
// An invalidation that failed, or of which nobody knows, is made good before this process reads anything from that
// keyspace again (dirty.go). Here every doubt makes the cache colder.
package coherence
