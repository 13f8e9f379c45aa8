package coherence

import (
	"context"
	"errors"
	"slices"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// Invalidate ends a change that was never begun: a purge, an attempt of a job, the changes of a
// stream while it was sent. rules are those in force here if it speaks for a write, which other
// rules might see in another way; zero for a purge, which names its tags. settle is the time
// afterwards in which no response that carries them is stored. Each entry that carried one of the
// tags is dead when it returns nil.
//
// On an error the tags are on the dirty list when it returns, so this process reads nothing from
// Redis until they are deleted; other processes may serve entries that carry them until then.
// The write may be answered all the same.
func (k *Keyspace) Invalidate(ctx context.Context, b *redisconn.Budget, rules cachekeys.Tag,
	tags, guards []cachekeys.Tag, settle time.Duration) error {
	if len(tags) == 0 {
		return nil
	}
	return k.end(ctx, b, ending{
		id: k.tokens.Next(), settle: settle, rules: rules,
		tags: append(digests(guards), digests(tags)...), guards: len(guards),
	})
}

// An ending is the work of endScript.
type ending struct {
	id     Token         // the writer; zero: nobody
	settle time.Duration // how long the intents stay
	rules  cachekeys.Tag // zero: tags of other rules are left alone
	// the tags to delete, guards first: a filler that finds a guard standing knows that no tag
	// under it has been deleted yet
	tags     []cachekeys.Digest
	guards   int                // how many of tags are guards
	released []cachekeys.Digest // begun, and taken back
	begun    []cachekeys.Digest // where intents of the writer may stand
}

// end carries e out, and tells this process's own memory before it returns, also when Redis fails.
// Tags that fail go to the dirty list.
func (k *Keyspace) end(ctx context.Context, b *redisconn.Budget, e ending) error {
	others, err := k.send(ctx, b, e)
	if redisconn.Uncertain(err) && !errors.Is(err, context.DeadlineExceeded) {
		// The connection broke: it may be a server that has just been replaced, and lost the
		// intents. A second deletion costs nothing.
		others, err = k.send(ctx, b, e)
	}
	k.invalidations.raise(e.tags)
	k.invalidations.raise(others)
	if err != nil && !k.disabled.NoDirtyList {
		k.dirty.add(e, k.intentTime)
	}
	return err
}

// send runs the scripts, and returns the tags of other rules that were deleted with those of e.
func (k *Keyspace) send(ctx context.Context, b *redisconn.Budget,
	e ending) (others []cachekeys.Digest, err error) {
	s := step{op: "end", rules: e.rules, spreads: true, pushes: true, first: e.tags[:e.guards],
		then: e.tags[e.guards:], released: e.released}
	if k.disabled.GuardsAfterTags {
		s.first, s.then = s.then, s.first
	}
	s.call = func(part step) redisconn.Call {
		own, keys := k.ruleKeys(part)
		id, pushed := "", ""
		if !e.id.IsZero() {
			id = string(e.id[:])
		}
		if part.pushes {
			pushed = message(part.then)
		}
		return redisconn.Call{Script: endScript,
			Keys: k.pairs(keys, slices.Concat(part.then, part.released)), Args: []any{
				id, e.settle.Milliseconds(), len(part.then), own, k.names.TokenPrefix(),
				k.names.IntentsPrefix(), k.names.Channel(), pushed,
			}}
	}
	answers, err := k.do(ctx, b, s)
	return parseDigests(answers), err
}

// ruleKeys are the digest of the rules that a part of a step announces, and the two keys that the
// script finds them under. Where it announces none, two keys of the part's first tag stand there:
// in Cluster all keys of a call lie on one slot.
func (k *Keyspace) ruleKeys(part step) (own string, keys []string) {
	if !part.rules.IsZero() {
		return part.rules.Digest().String(), []string{k.names.Rules(), k.names.Token(allDigest)}
	}
	return "", k.pairs(nil,
		slices.Concat(part.then, part.released, []cachekeys.Digest{allDigest})[:1])
}

// othersCall asks for the digests of other rules, in Cluster, where their tags lie on other slots.
func (k *Keyspace) othersCall(rules cachekeys.Tag) redisconn.Call {
	return redisconn.Call{
		Script: othersScript, Keys: []string{k.names.Rules(), k.names.Token(allDigest)},
		Args: []any{rules.Digest().String()},
	}
}

// parseDigests reads the digests that a script found among the rules.
func parseDigests(answers []any) []cachekeys.Digest {
	var out []cachekeys.Digest
	for _, member := range answers {
		text, _ := member.(string)
		if d, ok := cachekeys.ParseDigest(text); ok {
			out = append(out, d)
		}
	}
	return out
}
