package coherence

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// An Opening is what a filler wants to know before its backend request.
type Opening struct {
	Rules   cachekeys.Tag   // of the invalidation rules in force here (cachekeys.Rules); they are announced with it, and carried
	Carried []cachekeys.Tag // what the entry will carry in any case, besides All and Rules
	Known   []cachekeys.Tag // names that an earlier answer is known to have given
	Guards  []cachekeys.Tag // of the names that the answer may give
	// Loose are guards of names that no answer is known to give. They forbid nothing until one does, and then only to store it.
	Loose []cachekeys.Tag
	TTL   time.Duration // how long the tokens have to live at the least; Extend lengthens it
	// Key, if not zero, is what is to be fetched: a lease on it says whether another process fetches it already.
	Key cachekeys.Digest
}

// Opened is what a filler knows before its backend request: the tokens that its entry will carry, and how the guards
// of the names that the answer may bring stood then.
type Opened struct {
	Stamp      Stamp  // of All, the rules and what the entry carries in any case; Learn adds names
	Turn       Turn   // who fetches
	known      []Mark // names that an earlier answer gave, which this one may give again
	guards     []Mark
	loose      []Mark
	ttl        time.Duration
	generation uint64
	unproved   bool               // Guards.StaleUnproved
	late       []cachekeys.Digest // tags still to be opened; only with Guards.TokensAfterFetch
	lease      lease
}

// ErrGuardChanged means that something under a guard was written while the names under it were not yet known: the
// tokens of the names prove nothing about the answer in hand.
var ErrGuardChanged = errors.New("coherence: written under the guard meanwhile")

// Open reads the tokens of All, of the tags that the entry will carry, of the names that an earlier answer is known to
// have given, and of its guards, creating those that are absent. It is called before the backend request is sent: that
// is what makes a late store harmless. The token of a tag is not made while a write to it is under way.
func (k *Keyspace) Open(ctx context.Context, b *redisconn.Budget, want Opening) (*Opened, error) {
	tags := []cachekeys.Digest{allDigest}
	if !want.Rules.IsZero() {
		tags = append(tags, want.Rules.Digest())
	}
	tags = append(tags, digests(want.Carried)...)
	o := &Opened{ttl: want.TTL, generation: k.incarnation.Generation(), unproved: k.guards.StaleUnproved}
	if k.guards.TokensAfterFetch {
		o.late = tags
		return o, nil
	}
	if want.Key != (cachekeys.Digest{}) {
		o.lease = lease{key: k.names.Lease(want.Key), holder: k.tokens.Next(), proof: len(tags) + len(want.Guards)}
	}
	marks, turn, err := k.open(ctx, b, slices.Concat(tags, digests(want.Guards), digests(want.Known), digests(want.Loose)), want.TTL, want.Rules, o.lease)
	if err != nil {
		return nil, err
	}
	n, m := len(tags), len(tags)+len(want.Guards)
	l := m + len(want.Known)
	o.Stamp, o.guards, o.known, o.loose, o.Turn = marks[:n:n], marks[n:m], marks[m:l], marks[l:], turn
	if k.guards.AllNotCarried {
		o.Stamp[0].Token = notCarried
	}
	return o, nil
}

// Storable reports whether the answer may be stored: no tag that it carries is closed by a write that is under way.
func (o *Opened) Storable() bool { return o.late != nil || allOpen(o.Stamp) }

// Shareable reports whether others who opened the same tokens may have the answer too.
func (o *Opened) Shareable() bool { return o.late == nil && allOpen(o.Stamp) && allOpen(o.guards) }

// Holds reports whether all that s carries stood still when o was opened. What was filled under s was then not written to between its look-up and the
// opening: else the backend would be asked, under tokens from after the write, whether something from before it still holds.
func (o *Opened) Holds(s Stamp) bool {
	read := Reading{}
	for _, marks := range [...][]Mark{o.Stamp, o.known, o.guards, o.loose} {
		for _, m := range marks {
			read[m.Tag] = m.Token
		}
	}
	verdict, _ := Judge(s, read)
	return verdict == Alive || o.unproved
}

// Sound reports whether this process has met no other Redis since o was opened.
func (k *Keyspace) Sound(o *Opened) bool { return o.generation == k.incarnation.Generation() }

// Guards reports whether the guard with this digest is part of Proof.
func (o *Opened) Guards(guard cachekeys.Digest) bool { return Stamp(o.guards).Has(guard) }

func allOpen(marks []Mark) bool {
	return !slices.ContainsFunc(marks, func(m Mark) bool { return m.Token.IsZero() })
}

// Proof is the same for two fillers that opened the same tokens, guards included: then no write was acknowledged between them, and the
// later one may have what the earlier one fetches.
func (o *Opened) Proof() [sha1.Size]byte {
	return sha1.Sum(appendMarks(appendMarks(nil, o.Stamp), o.guards))
}

func appendMarks(b []byte, marks []Mark) []byte {
	for _, m := range marks {
		b = append(append(b, m.Tag[:]...), m.Token[:]...)
	}
	return b
}

// Learn adds the names that the answer gave to what o carries. Those that were not known early are opened first, and the
// guards are read then: had a write to one of the names come between the answer's data and its token, the write would have deleted the
// guard before the tag, and the guard read afterwards would show it.
// It returns ErrGuardChanged where the guards do not stand as before the backend request; the names are then open for
// the next fill, which knows them early. It returns ErrGenerationChanged where this process met another Redis meanwhile.
func (k *Keyspace) Learn(ctx context.Context, o *Opened, names []cachekeys.Tag) error {
	if k.guards.TokensAfterFetch {
		marks, _, err := k.open(ctx, nil, o.late, o.ttl, cachekeys.Tag{}, lease{})
		o.Stamp, o.late = marks, nil
		if err != nil {
			return err
		}
	}
	var fresh []cachekeys.Digest
	guards := o.guards
	early := slices.Concat(o.known, o.guards, o.loose) // an answer with too many names carries their guard
	for _, tag := range names {
		name := tag.Digest()
		closed := func(m Mark) bool { return m.Tag == name && m.Token.IsZero() }
		if slices.ContainsFunc(o.guards, closed) || slices.ContainsFunc(o.loose, closed) {
			return ErrGuardChanged // to open it now would say nothing of what was fetched before
		}
		i := slices.IndexFunc(early, func(m Mark) bool { return m.Tag == name && !m.Token.IsZero() })
		switch {
		case o.Stamp.Has(name):
		case i >= 0:
			o.Stamp = append(o.Stamp, early[i])
		default:
			fresh = append(fresh, name)
			if tag.IsGiven() {
				guards = slices.Concat(o.guards, o.loose)
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

// ErrGenerationChanged means that this process met another Redis in the course of a fill: what it read before proves nothing.
var ErrGenerationChanged = errors.New("coherence: another redis was met meanwhile")

func (k *Keyspace) learnFresh(ctx context.Context, o *Opened, fresh []cachekeys.Digest, guards []Mark) error {
	marks, _, err := k.open(ctx, nil, fresh, o.ttl, cachekeys.Tag{}, lease{})
	if err != nil {
		return err
	}
	if !k.guards.IgnoreGuards {
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
	_, _, err := k.open(ctx, nil, tags, ttl, cachekeys.Tag{}, lease{})
	return err
}

// open runs the script of that name. The tag All comes first where rules are announced or a lease is taken.
func (k *Keyspace) open(ctx context.Context, b *redisconn.Budget, tags []cachekeys.Digest, ttl time.Duration, rules cachekeys.Tag, l lease) ([]Mark, Turn, error) {
	marks := make([]Mark, len(tags))
	turn := Fetch
	err := k.conn.Do(ctx, b, "open", func(ctx context.Context, c redis.UniversalClient) error {
		var calls []call
		if k.conn.Cluster() {
			for i := range tags {
				announced := rules
				if i > 0 {
					announced = cachekeys.Tag{}
				}
				calls = append(calls, k.openCall(tags[i:i+1], ttl, announced, lease{}))
			}
		} else {
			calls = []call{k.openCall(tags, ttl, rules, l)}
		}
		answers, err := run(ctx, c, calls)
		if err != nil {
			return err
		}
		var values []any
		for _, a := range answers {
			values = append(values, list(a)...)
		}
		if len(values) < len(tags) {
			return errAnswer
		}
		for i, t := range tags {
			marks[i] = Mark{Tag: t, Token: parseToken(values[i])}
		}
		switch {
		case l.key == "":
		case k.conn.Cluster():
			turn, err = k.takeLease(ctx, c, l, marks[:l.proof])
		case len(values) > len(tags):
			turn = parseTurn(values[len(tags)])
		}
		return err
	})
	return marks, turn, err
}

// errAnswer is what a script never gives, unless a key holds what a stranger put there.
var errAnswer = errors.New("coherence: a script answered what it never answers")

func (k *Keyspace) openCall(tags []cachekeys.Digest, ttl time.Duration, rules cachekeys.Tag, l lease) call {
	own, first := "", k.names.Token(tags[0])
	if !rules.IsZero() {
		own, first = rules.Digest().String(), k.names.Rules()
	}
	c := call{script: openScript, keys: k.pairs([]string{first}, tags), args: make([]any, 0, len(tags)+5)}
	var duration int64
	if l.key != "" {
		c.keys, duration = append(c.keys, l.key), leaseTime.Milliseconds()
	}
	c.args = append(c.args, ttl.Milliseconds(), own, duration, l.holder[:], l.proof)
	for range tags {
		fresh := k.tokens.Next()
		c.args = append(c.args, fresh[:])
	}
	return c
}

// proofOf is what a lease holds of the tokens; the script makes the same of them.
func proofOf(marks []Mark) string {
	h := sha1.New()
	for _, m := range marks {
		h.Write(m.Token[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func digests(tags []cachekeys.Tag) []cachekeys.Digest {
	out := make([]cachekeys.Digest, len(tags), len(tags)+1)
	for i, t := range tags {
		out[i] = t.Digest()
	}
	return out
}
