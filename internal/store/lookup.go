package store

import (
	"context"
	"slices"
	"time"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/internal/entry"
	"sidecar/internal/httpfield"
	"sidecar/internal/reason"
	"sidecar/internal/redisconn"
)

// A Query is the object of a look-up: a primary key, the tags that its request is known to depend
// on, and the request's fields, which select the variant.
type Query struct {
	Route   string // its name: hints of its answers are remembered under it
	Primary cachekeys.Digest
	Rules   cachekeys.Tag // of the policies in force
	Carried []cachekeys.Tag
	Fields  httpfield.Fields
	MaxBody int64         // bytes; an entry with a longer body is none. 0: 1 MiB
	Memory  time.Duration // how long this process may answer by itself; 0: never
	// how long an answer is expected to live; one that lives longer costs one round trip more
	TTL time.Duration
	// Search gives the keys under No-Vary-Search; nil: it does not count.
	Search Search

	// Primary as it was given: the key where No-Vary-Search says nothing
	exact  cachekeys.Digest
	search httpfield.SearchVariance // the No-Vary-Search under which Primary was made
}

func (q Query) maxBody() int64 {
	if q.MaxBody == 0 {
		return 1 << 20
	}
	return q.MaxBody
}

// Found is the result of a look-up.
type Found struct {
	// the query under its final key: Begin a fill with it
	Query  Query
	Entry  *entry.Entry // alive, though it may be stale; nil if there is none
	Memory bool         // it comes from this process's memory
	// Dead is an entry that something was written to since, as long as it lies there: it is no
	// answer, but the backend can be asked whether it still holds.
	Dead *entry.Entry
	// Variants are other answers under the key, that requests with other fields selected, for the
	// backend to be asked about.
	Variants []entry.Variant
	// Key is that of the variant that the request selects.
	Key cachekeys.Digest

	stamp coherence.Stamp // of Entry
	// Why there is no entry: Miss, VaryMiss, Invalidated, Undecodable.
	Why reason.Reason
	// Bypass, if not empty, says that Redis could not be asked: nothing may be stored for this
	// request either.
	Bypass reason.Reason
	// Names are the surrogate keys of an earlier response, for the next fill to open.
	Names []cachekeys.Tag
}

// Any is the entry that was found, alive or dead; nil: there is none.
func (f Found) Any() *entry.Entry {
	if f.Entry != nil {
		return f.Entry
	}
	return f.Dead
}

// Lookup reads the entry for q with the tokens that it depends on, in one round trip where this
// process knows the key's variants and names, in two where it has to learn them. It reads nothing
// that was sent to Redis before the call.
func (s *Store) Lookup(ctx context.Context, b *redisconn.Budget, q Query) Found {
	if !s.keyspace.Readable() {
		return Found{Bypass: reason.InvalidationPending}
	}
	q = s.remembered(q)
	l := s.newLookup(ctx, b, q)
	if found, ok := l.recall(); ok {
		return found
	}
	s.awaitOwn(ctx, b, q.Primary)
	// the awaited store may have changed the key of the query
	if remembered := s.remembered(q.original()); remembered.Primary != q.Primary {
		l = s.newLookup(ctx, b, remembered)
	}
	found, err := l.run()
	if ruled := l.ruled(); err == nil && found.Entry == nil && ruled.Primary != l.query.Primary {
		l = s.newLookup(ctx, b, ruled)
		found, err = l.run()
	}
	if err != nil {
		return Found{Bypass: redisconn.Reason(err)}
	}
	found.Query = l.query
	return found
}

// recall looks into this process's memory.
func (l *lookup) recall() (found Found, ok bool) {
	variant := l.variant()
	h := l.store.fromMemory(l.query, variant)
	if h == nil {
		return Found{}, false
	}
	return Found{Entry: h.entry, Memory: true, Query: l.query, Key: variant, stamp: h.stamp}, true
}

// awaitOwn waits for a store of this process under the key, so that a caller reads its own fill.
// The wait is bounded by the request's budget, but not taken from it: Redis is at work meanwhile.
func (s *Store) awaitOwn(ctx context.Context, b *redisconn.Budget, primary cachekeys.Digest) {
	done := s.pending.of(primary)
	if done == nil {
		return
	}
	ctx, cancel := b.Bound(ctx)
	defer cancel()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// lookup is one look-up under way.
type lookup struct {
	store   *Store
	ctx     context.Context
	budget  *redisconn.Budget
	query   Query
	hint    hint
	reading coherence.Reading
	lease   string                   // also read; "": none
	leased  bool                     // it stands
	said    httpfield.SearchVariance // of the path, as Redis has it
	kept    *decoded                 // that it found unchanged; nil: none
	fresh   *envelope                // that it decoded else
}

// newLookup is a look-up of q with this process's hint of its key.
func (s *Store) newLookup(ctx context.Context, b *redisconn.Budget, q Query) lookup {
	return lookup{store: s, ctx: ctx, budget: b, query: q, hint: s.hints.get(q.Primary)}
}

// ruled is the query under the key that follows from Redis's record of the path.
func (l *lookup) ruled() Query {
	if l.query.Search == nil {
		return l.query
	}
	return l.query.under(l.said)
}

// run reads, and puts an entry that it finds into this process's memory, or keeps its decoding.
func (l *lookup) run() (Found, error) {
	generation, began := l.store.keyspace.Generation(), l.store.now()
	found, stamp, err := l.find()
	found.Key, found.stamp = l.variant(), stamp
	switch {
	case err != nil || found.Entry == nil:
	case l.store.keyspace.Generation() != generation:
		return Found{
			Why: reason.Invalidated, Names: found.Names, Key: found.Key, Dead: found.Entry,
		}, nil
	case l.store.toMemory(l.query, found.Key, began, found.Entry, stamp):
	case l.fresh != nil:
		l.store.keepDecoded(found.Key, l.fresh, found.Entry)
	}
	return found, err
}

func (l *lookup) find() (Found, coherence.Stamp, error) {
	rec, err := l.readAll()
	switch {
	case err != nil:
		return Found{}, nil, err
	case rec == nil && len(l.hint.vary) > 0:
		return l.otherVariants()
	case rec == nil:
		return Found{Why: reason.Miss, Names: l.hint.names}, nil, nil
	}
	if index, ok := entry.DecodeIndex(rec.payload); ok && !slices.Equal(index.Vary, l.hint.vary) {
		l.hint.vary, l.hint.variants = index.Vary, index.Variants
		if rec, err = l.readEntry(l.variant()); err != nil || rec == nil {
			l.remember(rec)
			return Found{Why: reason.VaryMiss, Names: l.hint.names, Variants: index.Variants}, nil,
				err
		}
	}
	l.remember(rec)
	verdict, err := l.judge(rec.stamp)
	if err != nil {
		return Found{}, nil, err
	}
	if len(rec.payload) == 0 {
		return Found{Why: reason.Miss, Names: rec.names}, nil, nil // only names were stored
	}
	e, err := l.decode(rec)
	switch {
	case err != nil || !slices.Equal(e.Vary, l.hint.vary):
		return Found{Why: reason.Undecodable, Names: rec.names}, nil, nil
	case verdict != coherence.Alive:
		return Found{Why: reason.Invalidated, Names: rec.names, Dead: e}, nil, nil
	}
	if l.kept == nil {
		l.store.bodies.share(e)
		l.fresh = rec
	}
	return Found{Entry: e, Names: rec.names}, rec.stamp, nil
}

// Stands reports whether the entry that was found is alive in Redis now: no write to one of its
// tags was acknowledged since it was stored, and none that was announced is under way.
func (s *Store) Stands(ctx context.Context, b *redisconn.Budget, found Found) (bool, error) {
	if !s.keyspace.Readable() || len(found.stamp) == 0 {
		return false, nil
	}
	generation := s.keyspace.Generation()
	values, err := s.mget(ctx, b, s.keyspace.MoreTokenKeys(nil, found.stamp.Tags()))
	if err != nil {
		return false, err
	}
	verdict, _ := coherence.Judge(found.stamp, s.keyspace.NewStampReading(found.stamp, values))
	return verdict == coherence.Alive && s.keyspace.Generation() == generation, nil
}

// otherVariants returns the variants that other requests select, for a request that selects none.
// It takes a round trip, and the whole answer of the backend may be spared for it.
func (l *lookup) otherVariants() (Found, coherence.Stamp, error) {
	found := Found{Why: reason.VaryMiss, Names: l.hint.names}
	rec, err := l.readEntry(l.query.Primary)
	if err != nil || rec == nil {
		return found, nil, err
	}
	if index, ok := entry.DecodeIndex(rec.payload); ok && slices.Equal(index.Vary, l.hint.vary) {
		found.Variants, l.hint.variants = index.Variants, index.Variants
		l.store.hints.set(l.query.Primary, l.hint)
	}
	return found, nil, nil
}

// Variant reads one of Found.Variants, alive or not: the backend has just confirmed it. nil if it
// is there no more. q is the query that found it.
func (s *Store) Variant(ctx context.Context, b *redisconn.Budget, q Query,
	v entry.Variant) *entry.Entry {
	l := lookup{store: s, ctx: ctx, budget: b}
	rec, err := l.readEntry(v.Key)
	if err != nil || rec == nil {
		return nil
	}
	e, err := entry.Decode(rec.payload, q.maxBody())
	if err != nil {
		return nil
	}
	return e
}

// variantOf is the key of the variant that q selects, by the fields that vary names.
func (s *Store) variantOf(vary []string, q Query) cachekeys.Digest {
	return cachekeys.Variant(s.secret(), q.Primary, cachekeys.SelectVary(vary, q.Fields))
}

// variant is the key of the entry that the request selects, as far as the hint tells.
func (l *lookup) variant() cachekeys.Digest { return l.store.variantOf(l.hint.vary, l.query) }

// readAll reads the entry and every token that it is expected to carry, at once.
func (l *lookup) readAll() (*envelope, error) {
	variant := l.variant()
	var keys []string
	var tags []cachekeys.Digest
	kept := l.store.kept(variant)
	if kept != nil {
		keys = kept.keys[:len(kept.keys):len(kept.keys)]
	} else {
		keys, tags = l.asks(variant)
	}
	if l.lease != "" {
		keys = append(keys, l.lease)
	}
	asksBare := l.query.asksBare()
	if asksBare {
		keys = append(keys, l.store.names.Entry(l.query.Search.Bare()))
	}
	values, err := l.store.mget(l.ctx, l.budget, keys)
	if err != nil {
		return nil, err
	}
	if asksBare {
		last := len(values) - 1
		l.said, _ = l.store.learnSearch(l.query, values[last])
		values = values[:last]
	}
	if l.lease != "" {
		last := len(values) - 1
		l.leased, values = values[last] != nil, values[:last]
	}
	if kept == nil {
		l.reading = l.store.keyspace.NewReading(tags, values[1:])
		return parse(values[0], keys[0]), nil
	}
	l.reading = l.store.keyspace.NewStampReading(kept.stamp, values[1:])
	if record, ok := values[0].(string); ok && record == string(kept.record) {
		l.kept = kept
		return &kept.envelope, nil
	}
	return parse(values[0], keys[0]), nil
}

// decode decodes the entry of rec, unless this process has just done so with the same bytes.
func (l *lookup) decode(rec *envelope) (*entry.Entry, error) {
	limit := l.query.maxBody()
	if l.kept != nil {
		if l.kept.entry.Size() > limit {
			return nil, entry.ErrDamaged
		}
		return l.kept.entry, nil
	}
	return entry.Decode(rec.payload, limit)
}

// readEntry reads another entry than was expected. The tokens in hand serve on: they were read
// after the request came.
func (l *lookup) readEntry(key cachekeys.Digest) (*envelope, error) {
	at := l.store.names.Entry(key)
	values, err := l.store.mget(l.ctx, l.budget, []string{at})
	if err != nil {
		return nil, err
	}
	return parse(values[0], at), nil
}

// judge asks the protocol, and reads the tokens that it misses.
func (l *lookup) judge(stamp coherence.Stamp) (coherence.Verdict, error) {
	verdict, missing := coherence.Judge(stamp, l.reading)
	if verdict != coherence.Unread {
		return verdict, nil
	}
	values, err := l.store.mget(l.ctx, l.budget, l.store.keyspace.MoreTokenKeys(nil, missing))
	if err != nil {
		return coherence.Dead, err
	}
	l.reading.Add(missing, values)
	verdict, _ = coherence.Judge(stamp, l.reading)
	return verdict, nil
}

// remember keeps the hint for the next look-up.
func (l *lookup) remember(rec *envelope) {
	if rec != nil {
		if l.kept != nil && isSame(l.hint.names, rec.names) {
			return // as it was found
		}
		l.hint.names = rec.names
	}
	l.store.hints.set(l.query.Primary, l.hint)
}

// isSame reports whether two lists are one in memory.
func isSame(a, b []cachekeys.Tag) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// parse reads the record under a Redis key; nil if it is absent, damaged, or was stored under
// another key.
func parse(value any, key string) *envelope {
	s, ok := value.(string)
	if !ok {
		return nil
	}
	rec, err := decodeEnvelope([]byte(s), key)
	if err != nil {
		return nil
	}
	return &rec
}

func (s *Store) mget(ctx context.Context, b *redisconn.Budget, keys []string) ([]any, error) {
	return s.keyspace.Read(ctx, b, "lookup", keys)
}
