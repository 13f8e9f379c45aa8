package coherence

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// Invalidate ends what was never begun: a purge, an attempt of a job, what a stream changed while it was sent. rules are those in force
// here where it speaks for a write, which other rules might see in another way; zero for a purge, which names what it wants.
// settle is how long nothing that carries them is stored afterwards. Everything that carried one of the tags is dead when it returns nil.
//
// On an error the tags are on the dirty list when it returns, so this process reads nothing from Redis until they are
// deleted; other processes may go on serving what carried them until then. The write may be answered all the same.
func (k *Keyspace) Invalidate(ctx context.Context, b *redisconn.Budget, rules cachekeys.Tag, tags, guards []cachekeys.Tag, settle time.Duration) error {
	if len(tags) == 0 {
		return nil
	}
	return k.end(ctx, b, ending{id: k.tokens.Next(), settle: settle, rules: rules, tags: append(digests(guards), digests(tags)...), guards: len(guards)})
}

// An ending is what endScript is to do.
type ending struct {
	id       Token              // the writer; zero: nobody
	settle   time.Duration      // how long the intents stay
	rules    cachekeys.Tag      // zero: what other rules filled is left alone
	tags     []cachekeys.Digest // what is deleted, guards first: a filler that finds a guard standing knows that no tag under it has been deleted yet
	guards   int                // how many of tags are guards
	released []cachekeys.Digest // what was begun and is taken back
}

// end carries e out, and tells this process's own memory before it returns, whatever Redis says. What fails goes to the dirty list.
func (k *Keyspace) end(ctx context.Context, b *redisconn.Budget, e ending) error {
	others, err := k.send(ctx, b, e)
	if redisconn.Uncertain(err) && !errors.Is(err, context.DeadlineExceeded) {
		// The connection broke: it may be a server that has just been replaced, and lost the intents. A second deletion costs nothing.
		others, err = k.send(ctx, b, e)
	}
	k.heard.raise(e.tags)
	k.heard.raise(others)
	if err != nil && !k.guards.NoDirtyList && len(e.tags) > 0 {
		k.dirty.add(e)
	}
	return err
}

// endBatch bounds how many tags one script deletes.
const endBatch = 512

// send runs the scripts, and returns the tags of other rules that were deleted with e's.
func (k *Keyspace) send(ctx context.Context, b *redisconn.Budget, e ending) (others []cachekeys.Digest, err error) {
	if k.conn.Cluster() {
		err = k.conn.Do(ctx, b, "end", func(ctx context.Context, c redis.UniversalClient) (err error) {
			others, err = k.endInCluster(ctx, c, e)
			return err
		})
		return others, err
	}
	for first := true; first || len(e.tags) > 0 || len(e.released) > 0; first = false {
		part := e
		part.tags, e.tags = cut(e.tags)
		if len(e.tags) == 0 {
			part.released, e.released = cut(e.released)
		} else {
			part.released = nil
		}
		err = k.conn.Do(ctx, b, "end", func(ctx context.Context, c redis.UniversalClient) error {
			answers, err := run(ctx, c, []call{k.endCall(part, k.names.Channel(), message(part.tags))})
			if err == nil {
				others = append(others, parseDigests(answers[0])...)
			}
			return err
		})
		if err != nil {
			return others, err
		}
		e.rules = cachekeys.Tag{} // once is enough
	}
	return others, nil
}

func cut(tags []cachekeys.Digest) (part, rest []cachekeys.Digest) {
	n := min(len(tags), endBatch)
	return tags[:n], tags[n:]
}

// endInCluster deletes guards first, then tags, each in a pipeline of its own, since nothing orders two nodes.
func (k *Keyspace) endInCluster(ctx context.Context, c redis.UniversalClient, e ending) ([]cachekeys.Digest, error) {
	first, second := e.tags[:e.guards], e.tags[e.guards:]
	if k.guards.GuardsAfterTags {
		first, second = second, first
	}
	single := func(tags []cachekeys.Digest) (calls []call) {
		for i := range tags {
			calls = append(calls, k.endCall(ending{id: e.id, settle: e.settle, tags: tags[i : i+1]}, "", ""))
		}
		return calls
	}
	calls := single(first)
	if !e.rules.IsZero() {
		calls = append(calls, k.othersCall(e.rules))
	}
	answers, err := run(ctx, c, calls)
	if err != nil {
		return nil, err
	}
	var others []cachekeys.Digest
	if !e.rules.IsZero() {
		others = parseDigests(answers[len(answers)-1])
	}
	if k.between != nil {
		k.between()
	}
	calls = single(slices.Concat(second, others))
	for i := range e.released {
		calls = append(calls, k.endCall(ending{id: e.id, released: e.released[i : i+1]}, "", ""))
	}
	if _, err = run(ctx, c, calls); err != nil || len(e.tags) == 0 {
		return others, err
	}
	return others, c.SPublish(ctx, k.names.Channel(), message(slices.Concat(e.tags, others))).Err()
}

func (k *Keyspace) endCall(e ending, channel, message string) call {
	own, keys := "", k.pairs(nil, firstOf(e.tags, e.released))
	if !e.rules.IsZero() {
		own, keys = e.rules.Digest().String(), []string{k.names.Rules(), k.names.Token(allDigest)}
	}
	id := ""
	if !e.id.IsZero() {
		id = string(e.id[:])
	}
	return call{endScript, k.pairs(keys, slices.Concat(e.tags, e.released)), []any{
		id, e.settle.Milliseconds(), len(e.tags), own, k.names.TokenPrefix(), k.names.IntentsPrefix(), channel, message,
	}}
}

// firstOf is any one tag, whose keys stand where the script looks at none.
func firstOf(lists ...[]cachekeys.Digest) []cachekeys.Digest {
	for _, l := range lists {
		if len(l) > 0 {
			return l[:1]
		}
	}
	return []cachekeys.Digest{allDigest}
}

func (k *Keyspace) beginCall(w *Write, tags []cachekeys.Digest, rules cachekeys.Tag) call {
	own, keys := "", k.pairs(nil, firstOf(tags))
	if !rules.IsZero() {
		own, keys = rules.Digest().String(), []string{k.names.Rules(), k.names.Token(allDigest)}
	}
	return call{beginScript, k.pairs(keys, tags), []any{
		w.id[:], k.intentTime.Milliseconds(), own, k.names.TokenPrefix(), k.names.IntentsPrefix(),
	}}
}

func (k *Keyspace) othersCall(rules cachekeys.Tag) call {
	return call{othersScript, []string{k.names.Rules(), k.names.Token(allDigest)}, []any{rules.Digest().String()}}
}

// parseDigests reads the digests that a script found among the rules.
func parseDigests(v any) []cachekeys.Digest {
	var out []cachekeys.Digest
	for _, member := range list(v) {
		text, _ := member.(string)
		if d, ok := cachekeys.ParseDigest(text); ok {
			out = append(out, d)
		}
	}
	return out
}
