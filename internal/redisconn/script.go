package redisconn

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A Call is one run of a script. In Cluster all its keys lie on one slot.
type Call struct {
	Script *redis.Script
	Keys   []string
	Args   []any
}

// Run sends calls in one pipeline, which is one round trip, and returns the answer of each; nil for
// a nil reply. One server runs them in their order; in Cluster each node runs its own, and nothing
// orders two nodes. The error is the first that a call gave. The texts of scripts that a server
// does not know yet follow in a second pipeline.
func Run(ctx context.Context, c redis.UniversalClient, calls []Call) ([]any, error) {
	answers := make([]any, len(calls))
	every := make([]int, len(calls))
	for i := range every {
		every[i] = i
	}
	unknown, err := pipeline(ctx, c, every, answers, func(p redis.Pipeliner, i int) *redis.Cmd {
		return calls[i].Script.EvalSha(ctx, p, calls[i].Keys, calls[i].Args...)
	})
	if err != nil || len(unknown) == 0 {
		return answers, err
	}
	_, err = pipeline(ctx, c, unknown, answers, func(p redis.Pipeliner, i int) *redis.Cmd {
		return calls[i].Script.Eval(ctx, p, calls[i].Keys, calls[i].Args...)
	})
	return answers, err
}

// pipeline sends the calls with the numbers of which, and returns the numbers of those whose script
// the server does not know.
func pipeline(ctx context.Context, c redis.UniversalClient, which []int, answers []any,
	send func(redis.Pipeliner, int) *redis.Cmd) (unknown []int, err error) {
	commands := make([]*redis.Cmd, len(which))
	p := c.Pipeline()
	for n, i := range which {
		commands[n] = send(p, i)
	}
	err = Exec(ctx, p)
	for n, i := range which {
		answer, failure := commands[n].Result()
		switch {
		case failure == nil || errors.Is(failure, redis.Nil):
			answers[i] = answer
		case strings.HasPrefix(failure.Error(), "NOSCRIPT"):
			unknown = append(unknown, i)
		case err == nil:
			err = failure
		}
	}
	return unknown, err
}

// Exec sends a pipeline. Each command has an error of its own then. Exec's error is one that no
// command has: nothing was sent. The library does not tell the commands the error reply of a server
// that refuses a new connection.
func Exec(ctx context.Context, p redis.Pipeliner) error {
	commands, err := p.Exec(ctx)
	for _, c := range commands {
		if c.Err() != nil {
			return nil
		}
	}
	return err
}
