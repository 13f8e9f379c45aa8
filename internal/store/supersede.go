package store

import (
	"context"
	"slices"
	"time"

	"sidecar/internal/entry"
	"sidecar/internal/httpcache"
	"sidecar/internal/reason"
)

// supersedes reports whether e may be written: not in the place of a fresh entry that is better,
// which may have been stored since e's request was looked up. It reads only where e is an error or
// a part. Where Redis does not answer, e is not written.
func (s *Store) supersedes(ctx context.Context, f *Fill, placed Query, e *entry.Entry) bool {
	if httpcache.MaySupersede(e.Status) {
		return true
	}
	return s.supersedesAt(ctx, placed, e) &&
		(placed.Primary == f.query.Primary || s.supersedesAt(ctx, f.query, e))
}

// supersedesAt is supersedes for the entries under one primary key. If e's request selects none of
// the variants, their freshness is unknown: e may not replace their index.
func (s *Store) supersedesAt(ctx context.Context, q Query, e *entry.Entry) bool {
	l := s.newLookup(ctx, nil, q)
	found, err := l.run()
	switch {
	case err != nil:
		return false
	case found.Why == reason.Invalidated:
		return true
	case len(l.hint.vary) > 0 && !slices.Equal(l.hint.vary, e.Vary):
		return false
	case found.Entry == nil || found.Entry.Fresh(time.Now()) <= 0:
		return true
	}
	return httpcache.Supersedes(e.Status, e, found.Entry.Status, found.Entry)
}
