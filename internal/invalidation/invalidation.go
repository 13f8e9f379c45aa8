// Package invalidation drops entries for everybody who is not a client's write: a purge, an attempt
// of a job. It has the two ways to do so and the form in which others name the tags;
// internal/coherence has the protocol.
package invalidation

import (
	"context"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
	"sidecar/policy"
)

// A Keyspace is the protocol's part that invalidates.
type Keyspace interface {
	// Invalidate makes every entry that carries one of the tags dead. On an error it remembers the
	// tags and goes on trying; until then this process reads nothing from Redis.
	Invalidate(ctx context.Context, b *redisconn.Budget, rules cachekeys.Tag,
		tags, guards []cachekeys.Tag, settle time.Duration) error
	// Standing counts the tags that an entry or a fetch under way may carry.
	Standing(ctx context.Context, tags []cachekeys.Tag) (int, error)
}

// An Invalidator drops entries. It is safe for concurrent use.
type Invalidator struct {
	Keyspace Keyspace
	Table    func() *policy.Table      // the policies in force
	Done     func(tags int, err error) // called for each invalidation; nil: nobody counts
}

// Changed drops the entries that carry one of the tags, which the policies in force name for a
// change of the API's data. Entries that were stored under other policies may carry other tags for
// the same data, and are all dropped.
func (i *Invalidator) Changed(ctx context.Context, tags []cachekeys.Tag) error {
	return i.invalidate(ctx, i.Table().Rules(), tags)
}

// Purge drops the entries that carry one of the tags, and no others: somebody named them. It
// returns how many of the tags an entry, or a fetch under way, may have carried; -1 if that is not
// known.
func (i *Invalidator) Purge(ctx context.Context, tags []cachekeys.Tag) (carried int, err error) {
	carried, err = i.Keyspace.Standing(ctx, tags)
	if err != nil { // it may be forbidden by itself
		carried = -1
	}
	return carried, i.invalidate(ctx, cachekeys.Tag{}, tags)
}

func (i *Invalidator) invalidate(ctx context.Context, rules cachekeys.Tag,
	tags []cachekeys.Tag) error {
	err := i.Keyspace.Invalidate(ctx, nil, rules, tags, i.Table().Guards(tags), 0)
	if i.Done != nil {
		i.Done(len(tags), err)
	}
	return err
}
