package main

import (
	"context"
	"time"
)

// keepAlive bounds the silence of a feed or socket, so that no intermediary takes it for dead.
const keepAlive = 15 * time.Second

// follower receives the events of a session.
type follower interface {
	event(event) error
	idle(context.Context) error // no event for keepAlive
}

// follow passes on the session's events after the given one, until ctx or the API ends, the token
// expires, I am no longer a member, or the follower returns an error.
func (a *API) follow(ctx context.Context, me identity, sessionID string, after int64,
	to follower) error {
	ctx, cancel := context.WithDeadline(ctx, me.expires)
	defer cancel()
	news, stop := a.hub.follow(sessionID)
	defer stop()
	quiet := time.NewTicker(keepAlive)
	defer quiet.Stop()
	for {
		events, err := a.eventsAfter(ctx, me, sessionID, after, 100)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := to.event(e); err != nil {
				return err
			}
			after = e.ID
		}
		if len(events) == 100 {
			continue // there may be more
		}
		select {
		case <-news:
		case <-quiet.C:
			if err := to.idle(ctx); err != nil {
				return err
			}
		case <-a.closing:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
