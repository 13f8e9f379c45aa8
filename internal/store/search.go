package store

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/entry"
	"sidecar/internal/httpfield"
)

// A Search gives the keys that a request has where the backend said by which parameters its
// answers vary (No-Vary-Search).
type Search interface {
	// HasQuery reports whether the request has parameters.
	HasQuery() bool
	// Bare is the key under which it is remembered what the backend said of the path.
	Bare() cachekeys.Digest
	// Under is the primary key where the backend said so; ok is false where that does not count.
	Under(v httpfield.SearchVariance) (primary cachekeys.Digest, ok bool)
}

// remembered is q under the key that it has by what this process remembers of the path.
func (s *Store) remembered(q Query) Query {
	q = q.asAsked()
	if q.Search == nil || !s.searches.Load() {
		return q
	}
	return q.under(s.hints.get(q.Search.Bare()).search)
}

// asAsked notes under which key q was asked for.
func (q Query) asAsked() Query {
	if q.exact == (cachekeys.Digest{}) {
		q.exact = q.Primary
	}
	return q
}

// original is q as it was asked for.
func (q Query) original() Query {
	q.Primary, q.search = q.exact, httpfield.SearchVariance{}
	return q
}

// under is q under the key that it has where the backend said v.
func (q Query) under(v httpfield.SearchVariance) Query {
	if primary, ok := q.Search.Under(v); ok {
		q.Primary, q.search = primary, v
	}
	return q
}

// asksBare reports whether the look-up is also to look what was said of the path: this process
// remembers nothing of it. A request without a query is spared that, for most paths have none: it
// finds what lies under its own key, and what this process remembers.
func (q Query) asksBare() bool {
	return q.Search != nil && q.Primary == q.exact && q.Search.HasQuery()
}

// learnSearch remembers what stands under the bare key of a path.
func (s *Store) learnSearch(q Query, value any) (v httpfield.SearchVariance, ok bool) {
	rec := parse(value, s.names.Entry(q.Search.Bare()))
	if rec == nil {
		return v, false
	}
	index, _ := entry.DecodeIndex(rec.payload)
	if v, ok = httpfield.ParseSearchVariance(index.Search); ok {
		s.rememberSearch(q, v)
	}
	return v, ok
}

func (s *Store) rememberSearch(q Query, v httpfield.SearchVariance) {
	s.searches.Store(true)
	s.hints.set(q.Search.Bare(), hint{search: v})
}

// placed is q under the key where e, its answer, belongs, by what e says itself.
func (q Query) placed(e *entry.Entry) Query {
	q = q.original()
	if q.Search == nil {
		return q
	}
	v, ok := httpfield.NoVarySearch(e.Values("No-Vary-Search"))
	if !ok {
		return q
	}
	return q.under(v)
}

// writeSearch writes what an answer says of its path, beside the answer, and remembers it; or
// forgets what was remembered, where it says nothing.
func (s *Store) writeSearch(ctx context.Context, pipe redis.Pipeliner, asked, placed Query, ttl time.Duration) {
	switch {
	case placed.Search == nil:
	case placed.Primary != placed.exact:
		s.rememberSearch(placed, placed.search)
		s.setIndex(ctx, pipe, placed.Search.Bare(), entry.Index{Search: placed.search.String()}, ttl)
	case asked.Primary != asked.exact:
		bare := placed.Search.Bare()
		s.hints.set(bare, hint{})
		pipe.Del(ctx, s.names.Entry(bare))
	}
}
