package coherence

import (
	"context"
	"crypto/sha1"
	"errors"
	"slices"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// An Opening says which tokens a filler wants to know before its backend request.
type Opening struct {
	// of the invalidation rules in force here (cachekeys.Rules), which are announced with it;
	// carried
	Rules   cachekeys.Tag
	Carried []cachekeys.Tag // carried in any case, besides All and Rules
	Known   []cachekeys.Tag // names that an earlier answer has given
	Guards  []cachekeys.Tag // of the names that the answer may give
	// Unseen are guards of names that no answer is known to give. They forbid nothing until one
	// does, and then only to store it.
	Unseen []cachekeys.Tag
	TTL    time.Duration // the tokens live at least for so long; Extend lengthens it
	Sequel Sequel        // nil: there is none
}

// A Sequel is a script call of another package that depends on the tokens that are opened: it is
// told of those that Proof is made of. It does not run if one of them is closed.
type Sequel interface {
	// Call makes the call. On one server it travels with the opening, behind it, in one round
	// trip; its script reads the tokens itself, under the keys of witnesses, and does nothing if
	// one is absent. In Cluster, where its key lies on another slot, it follows in a round trip
	// of its own; tokens are then the values, one after the other, and there are no witnesses.
	Call(witnesses []string, tokens string) redisconn.Call
	// Answer is given the script's answer.
	Answer(v any)
}

// Opened is a filler's knowledge before its backend request: the tokens that its entry will carry,
// and the state of the guards of the names that the answer may give.
type Opened struct {
	// of All, the rules and the tags that the entry carries in any case; Learn adds names
	Stamp      Stamp
	known      []Mark // names that an earlier answer gave, which this one may give again
	guards     []Mark
	unseen     []Mark
	ttl        time.Duration
	generation uint64
	unproved   bool               // Disabled.StaleUnproved
	late       []cachekeys.Digest // tags still to be opened; only with Disabled.TokensAfterFetch
}

// Open reads the tokens of All, of the tags that the entry will carry, of the names that an
// earlier answer gave, and of the guards, and creates those that are absent. It is called before
// the backend request is sent, which makes a late store harmless. The token of a tag is not made
// while a write to it is under way.
func (k *Keyspace) Open(ctx context.Context, b *redisconn.Budget, want Opening) (*Opened, error) {
	tags := []cachekeys.Digest{allDigest}
	if !want.Rules.IsZero() {
		tags = append(tags, want.Rules.Digest())
	}
	tags = append(tags, digests(want.Carried)...)
	o := &Opened{
		ttl: want.TTL, generation: k.incarnation.Generation(), unproved: k.disabled.StaleUnproved,
	}
	if k.disabled.TokensAfterFetch {
		o.late = tags
		return o, nil
	}
	every := slices.Concat(tags, digests(want.Guards), digests(want.Known), digests(want.Unseen))
	s := k.openStep(every, want.TTL, want.Rules)
	s.sequel, s.witnesses = want.Sequel, every[:len(tags)+len(want.Guards)]
	marks, err := k.open(ctx, b, s)
	if err != nil {
		return nil, err
	}
	n, m := len(tags), len(tags)+len(want.Guards)
	l := m + len(want.Known)
	o.Stamp, o.guards, o.known, o.unseen = marks[:n:n], marks[n:m], marks[m:l], marks[l:]
	if k.disabled.AllNotCarried {
		o.Stamp[0].Token = notCarried
	}
	return o, nil
}

// Storable reports whether the answer may be stored: no tag that it carries is closed by a write
// that is under way.
func (o *Opened) Storable() bool { return o.late != nil || allOpen(o.Stamp) }

// Shareable reports whether others who opened the same tokens may have the answer too.
func (o *Opened) Shareable() bool { return o.late == nil && allOpen(o.Stamp) && allOpen(o.guards) }

// Holds reports whether all tags of s had the tokens of s when o was opened. Then nothing was
// written to them between the look-up that found s and the opening. Otherwise the backend would
// validate data from before the write, under tokens from after it.
func (o *Opened) Holds(s Stamp) bool {
	read := Reading{}
	for _, marks := range [...][]Mark{o.Stamp, o.known, o.guards, o.unseen} {
		for _, m := range marks {
			read.add(m.Tag, m.Token)
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

// Proof is the same for two fillers that opened the same tokens, guards included: no write was
// acknowledged between them, so the later one may have the answer that the earlier one fetches.
func (o *Opened) Proof() [sha1.Size]byte {
	return sha1.Sum(appendMarks(appendMarks(nil, o.Stamp), o.guards))
}

// Note is the tokens that Proof is made of, as a Sequel is told them.
func (o *Opened) Note() string {
	var tokens []byte
	for _, marks := range [...][]Mark{o.Stamp, o.guards} {
		for _, m := range marks {
			tokens = append(tokens, m.Token[:]...)
		}
	}
	return string(tokens)
}

func appendMarks(b []byte, marks []Mark) []byte {
	for _, m := range marks {
		b = append(append(b, m.Tag[:]...), m.Token[:]...)
	}
	return b
}

// openStep opens tags. All comes first where rules are announced.
func (k *Keyspace) openStep(tags []cachekeys.Digest, ttl time.Duration, rules cachekeys.Tag) step {
	return step{op: "open", rules: rules, first: tags, call: func(part step) redisconn.Call {
		own, first := "", k.names.Token(part.then[0])
		if !part.rules.IsZero() {
			own, first = part.rules.Digest().String(), k.names.Rules()
		}
		args := make([]any, 0, len(part.then)+2)
		args = append(args, ttl.Milliseconds(), own)
		for range part.then {
			fresh := k.tokens.Next()
			args = append(args, fresh[:])
		}
		return redisconn.Call{
			Script: openScript, Keys: k.pairs([]string{first}, part.then), Args: args,
		}
	}}
}

// open does an openStep.
func (k *Keyspace) open(ctx context.Context, b *redisconn.Budget, s step) ([]Mark, error) {
	tags := s.first
	answers, err := k.do(ctx, b, s)
	if err != nil {
		return nil, err
	}
	if len(answers) != len(tags) {
		return nil, errAnswer
	}
	marks := make([]Mark, len(tags))
	for i, t := range tags {
		marks[i] = Mark{Tag: t, Token: parseToken(answers[i])}
	}
	return marks, nil
}

// errAnswer is an answer that the script never gives, unless a stranger has written to its keys.
var errAnswer = errors.New("coherence: a script answered what it never answers")

func digests(tags []cachekeys.Tag) []cachekeys.Digest {
	out := make([]cachekeys.Digest, len(tags), len(tags)+1)
	for i, t := range tags {
		out[i] = t.Digest()
	}
	return out
}
