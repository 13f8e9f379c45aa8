package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
)

// feed streams a session's events as Server-Sent Events: those after Last-Event-ID, or without that
// field the new ones.
func (a *API) feed(w http.ResponseWriter, r *http.Request, me identity) error {
	s, err := loadSession(r.Context(), a.db.reader, me, r.PathValue("id"))
	if err != nil {
		return err
	}
	after, err := a.lastEvent(r.Context(), s.ID)
	if err != nil {
		return err
	}
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		if after, err = strconv.ParseInt(id, 10, 64); err != nil {
			return invalid("Last-Event-ID is no id of an event")
		}
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	stream := eventStream{w, http.NewResponseController(w)}
	if err := stream.flush(); err != nil {
		return nil
	}
	// the head is out, and the client will reconnect
	_ = a.follow(r.Context(), me, s.ID, after, stream)
	return nil
}

// eventStream is a follower that writes Server-Sent Events.
type eventStream struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (s eventStream) event(e event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(s, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Type, data); err != nil {
		return err
	}
	return s.flush()
}

func (s eventStream) idle(context.Context) error {
	if _, err := fmt.Fprint(s, ":\n\n"); err != nil {
		return err
	}
	return s.flush()
}

func (s eventStream) flush() error { return s.control.Flush() }
