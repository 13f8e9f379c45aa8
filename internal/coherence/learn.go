package coherence

import (
	"context"
	"errors"
	"slices"
	"time"

	"sidecar/cachekeys"
)

// ErrGuardChanged means that something under a guard was written while the names under it were not
// yet known: the tokens of the names prove nothing about the answer in hand.
var ErrGuardChanged = errors.New("coherence: written under the guard meanwhile")

// ErrGenerationChanged means that this process met another Redis during a fill: nothing that it
// read before proves anything.
var ErrGenerationChanged = errors.New("coherence: another redis was met meanwhile")

// Learn adds the names that the answer gave to the tags that o carries. Names that were not known
// before are opened first, and the guards are read then. Had a write to such a name come between
// the answer's data and the name's token, the write would have deleted the guard before the tag,
// and the guard read afterwards would show it.
//
// It returns ErrGuardChanged if a guard does not stand as before the backend request; the names
// are then open for the next fill, which knows them early. It returns ErrGenerationChanged if
// this process has met another Redis meanwhile.
func (k *Keyspace) Learn(ctx context.Context, o *Opened, names []cachekeys.Tag) error {
	if k.disabled.TokensAfterFetch {
		if err := k.openLate(ctx, o); err != nil {
			return err
		}
	}
	var fresh []cachekeys.Digest
	guards := o.guards
	// an answer with too many names carries their guard
	early := slices.Concat(o.known, o.guards, o.unseen)
	for _, tag := range names {
		name := tag.Digest()
		closed := func(m Mark) bool { return m.Tag == name && m.Token.IsZero() }
		if slices.ContainsFunc(o.guards, closed) || slices.ContainsFunc(o.unseen, closed) {
			return ErrGuardChanged // opened now, it would say nothing about the fetch before
		}
		i := slices.IndexFunc(early, func(m Mark) bool {
			return m.Tag == name && !m.Token.IsZero()
		})
		switch {
		case o.Stamp.Has(name):
		case i >= 0:
			o.Stamp = append(o.Stamp, early[i])
		default:
			fresh = append(fresh, name)
			if tag.IsSurrogate() {
				guards = slices.Concat(o.guards, o.unseen)
			}
		}
	}
	if len(fresh) > 0 {
		if err := k.learnFresh(ctx, o, fresh, guards); err != nil {
			return err
		}
	}
	if !k.Sound(o) {
		return ErrGenerationChanged
	}
	return nil
}

// openLate is for Disabled.TokensAfterFetch.
func (k *Keyspace) openLate(ctx context.Context, o *Opened) (err error) {
	o.Stamp, err = k.open(ctx, nil, k.openStep(o.late, o.ttl, cachekeys.Tag{}))
	o.late = nil
	return err
}

func (k *Keyspace) learnFresh(ctx context.Context, o *Opened, fresh []cachekeys.Digest,
	guards []Mark) error {
	marks, err := k.open(ctx, nil, k.openStep(fresh, o.ttl, cachekeys.Tag{}))
	if err != nil {
		return err
	}
	if !k.disabled.IgnoreGuards {
		if err := k.checkGuards(ctx, guards); err != nil {
			return err
		}
	}
	if !allOpen(marks) {
		return ErrGuardChanged
	}
	o.Stamp = append(o.Stamp, marks...)
	return nil
}

func (k *Keyspace) checkGuards(ctx context.Context, guards []Mark) error {
	if len(guards) == 0 {
		return ErrGuardChanged // names without a guard prove nothing
	}
	keys := make([]string, len(guards))
	for i, g := range guards {
		keys[i] = k.names.Token(g.Tag)
	}
	values, err := k.Read(ctx, nil, "guards", keys)
	if err != nil {
		return err
	}
	for i, g := range guards {
		if now := parseToken(values[i]); now != g.Token || now.IsZero() {
			return ErrGuardChanged
		}
	}
	return nil
}

// Extend makes the tokens of o live for at least ttl, for an answer whose lifetime is longer than
// was known when they were opened. A token that has been deleted meanwhile is made anew, which
// leaves the entry dead.
func (k *Keyspace) Extend(ctx context.Context, o *Opened, ttl time.Duration) error {
	if ttl <= o.ttl || len(o.Stamp) == 0 {
		return nil
	}
	tags := make([]cachekeys.Digest, len(o.Stamp))
	for i, m := range o.Stamp {
		tags[i] = m.Tag
	}
	_, err := k.open(ctx, nil, k.openStep(tags, ttl, cachekeys.Tag{}))
	return err
}
