package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// fillers is how many connections fill a cache at once.
const fillers = 32

// fill asks a server for the targets of a route from number `from` up to number `to`. When it
// returns they are all in the cache.
func (s *stack) fill(ctx context.Context, v server, route string, from, to int) error {
	var clients sync.WaitGroup
	errs := make(chan error, fillers)
	for i := range fillers {
		clients.Go(func() {
			errs <- v.askAll(ctx, route, from+1+i, to)
		})
	}
	clients.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	for id := max(from, to-fillers) + 1; id <= to; id++ { // the last ones may not be stored yet
		if err := s.cached(ctx, v, hit, fmt.Sprintf("/%s/%d", route, id)); err != nil {
			return err
		}
	}
	return nil
}

// askAll asks for each of the targets from first to last whose turn it is, on one connection. The
// client of net/http would cost more than the server.
func (v server) askAll(ctx context.Context, route string, first, last int) error {
	conn, err := net.Dial("tcp", v.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })()
	answers := bufio.NewReader(conn)
	for id := first; id <= last; id += fillers {
		if _, err := fmt.Fprintf(conn,
			"GET /%s/%d HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\n\r\n",
			route, id, host, authorization); err != nil {
			return errors.Join(err, ctx.Err())
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			return errors.Join(err, ctx.Err())
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return errors.Join(err, ctx.Err())
		}
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s of %s: %s", route, v.name, res.Status)
		}
	}
	return nil
}
