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
	// Bare is the key of the record of the path's No-Vary-Search.
	Bare() cachekeys.Digest
	// Under is the primary key where the backend said so; ok is false where that does not count.
	Under(v httpfield.SearchVariance) (primary cachekeys.Digest, ok bool)
}

// remembered is q under the key that follows from this process's memory of the path.
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

// asksBare reports whether the look-up also reads the record of the path: this process
// remembers nothing of it. A request without a query is spared that, for most paths have none: it
// finds the entry under its own key, and this process's hint.
func (q Query) asksBare() bool {
	return q.Search != nil && q.Primary == q.exact && q.Search.HasQuery()
}

// learnSearch remembers the record under the bare key of a path.
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

// placed is q under the key where its response e belongs, by the fields of e.
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

// writeSearch writes and remembers the No-Vary-Search of a response, beside the response; or
// forgets it, where the response has none.
func (s *Store) writeSearch(ctx context.Context, pipe redis.Pipeliner, asked, placed Query,
	ttl time.Duration) {
	switch {
	case placed.Search == nil:
	case placed.Primary != placed.exact:
		s.rememberSearch(placed, placed.search)
		s.setIndex(ctx, pipe, placed.Search.Bare(),
			entry.Index{Search: placed.search.String()}, ttl)
	case asked.Primary != asked.exact:
		bare := placed.Search.Bare()
		s.hints.set(bare, hint{})
		pipe.Del(ctx, s.names.Entry(bare))
	}
}
