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

// Opened is what a filler knows before its backend request: the tokens that its entry will carry, and how the guards
// of the names that the answer may bring stood then.
type Opened struct {
	Stamp  Stamp  // of All and what the entry carries in any case; Learn adds names
	known  []Mark // names that an earlier answer gave, which this one may give again
	guards []Mark
	ttl    time.Duration
	late   []cachekeys.Digest // tags still to be opened; only with Guards.TokensAfterFetch
}

// ErrGuardChanged means that something under a guard was written while the names under it were not yet known: the
// tokens of the names prove nothing about the answer in hand.
var ErrGuardChanged = errors.New("coherence: written under the guard meanwhile")

// Open reads the tokens of All, of the tags that the entry will carry, of the names that an earlier answer is known to
// have given, and of its guards, creating those that are absent. It is called before the backend request is sent: that
// is what makes a late store harmless. ttl is how long the tokens have to live at the least; Extend lengthens it.
func (k *Keyspace) Open(ctx context.Context, b *redisconn.Budget, carried, known, guards []cachekeys.Tag, ttl time.Duration) (*Opened, error) {
	tags := digests(carried)
	tags = slices.Insert(tags, 0, allDigest)
	o := &Opened{ttl: ttl}
	if k.guards.TokensAfterFetch {
		o.late = tags
		return o, nil
	}
	marks, err := k.open(ctx, b, slices.Concat(tags, digests(known), digests(guards)), ttl)
	if err != nil {
		return nil, err
	}
	n, m := len(tags), len(tags)+len(known)
	o.Stamp, o.known, o.guards = marks[:n:n], marks[n:m], marks[m:]
	return o, nil
}

// Learn adds the names that the answer gave to what o carries. Those that were not known early are opened first, and the
// guards are read then: had a write to one of the names come between the answer's data and its token, the write would have deleted the
// guard before the tag, and the guard read afterwards would show it.
// It returns ErrGuardChanged where the guards do not stand as before the backend request; the names are then open for
// the next fill, which knows them early.
func (k *Keyspace) Learn(ctx context.Context, o *Opened, names []cachekeys.Tag) error {
	if k.guards.TokensAfterFetch {
		marks, err := k.open(ctx, nil, o.late, o.ttl)
		o.Stamp, o.late = marks, nil
		if err != nil {
			return err
		}
	}
	var fresh []cachekeys.Digest
	for _, name := range digests(names) {
		early := slices.IndexFunc(o.known, func(m Mark) bool { return m.Tag == name })
		switch {
		case o.Stamp.Has(name):
		case early >= 0:
			o.Stamp = append(o.Stamp, o.known[early])
		default:
			fresh = append(fresh, name)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	marks, err := k.open(ctx, nil, fresh, o.ttl)
	if err != nil {
		return err
	}
	if !k.guards.IgnoreGuards {
		if err := k.checkGuards(ctx, o); err != nil {
			return err
		}
	}
	o.Stamp = append(o.Stamp, marks...)
	return nil
}

func (k *Keyspace) checkGuards(ctx context.Context, o *Opened) error {
	if len(o.guards) == 0 {
		return ErrGuardChanged // names without a guard prove nothing
	}
	keys := make([]string, len(o.guards))
	for i, g := range o.guards {
		keys[i] = k.names.Token(g.Tag)
	}
	var values []any
	err := k.conn.Do(ctx, nil, "guards", func(ctx context.Context, c redis.UniversalClient) (err error) {
		values, err = c.MGet(ctx, keys...).Result()
		return err
	})
	if err != nil {
		return err
	}
	for i, g := range o.guards {
		if now := parseToken(values[i]); now != g.Token || now.IsZero() {
			return ErrGuardChanged
		}
	}
	return nil
}

// Extend makes the tokens of o live for at least ttl, where the answer's lifetime is longer than was known when they
// were opened. A token that has been deleted meanwhile is made anew, which leaves the entry dead.
func (k *Keyspace) Extend(ctx context.Context, o *Opened, ttl time.Duration) error {
	if ttl <= o.ttl {
		return nil
	}
	tags := make([]cachekeys.Digest, len(o.Stamp))
	for i, m := range o.Stamp {
		tags[i] = m.Tag
	}
	_, err := k.open(ctx, nil, tags, ttl)
	return err
}

func (k *Keyspace) open(ctx context.Context, b *redisconn.Budget, tags []cachekeys.Digest, ttl time.Duration) ([]Mark, error) {
	keys := make([]string, len(tags))
	args := make([]any, 0, len(tags)+1)
	args = append(args, ttl.Milliseconds())
	for i, t := range tags {
		keys[i] = k.names.Token(t)
		fresh := k.tokens.Next()
		args = append(args, fresh[:])
	}
	var values []any
	err := k.conn.Do(ctx, b, "open", func(ctx context.Context, c redis.UniversalClient) (err error) {
		values, err = openScript.Run(ctx, c, keys, args...).Slice()
		return err
	})
	if err != nil {
		return nil, err
	}
	marks := make([]Mark, len(tags))
	for i, t := range tags {
		marks[i] = Mark{Tag: t, Token: parseToken(values[i])}
	}
	return marks, nil
}

func digests(tags []cachekeys.Tag) []cachekeys.Digest {
	out := make([]cachekeys.Digest, len(tags), len(tags)+1)
	for i, t := range tags {
		out[i] = t.Digest()
	}
	return out
}
