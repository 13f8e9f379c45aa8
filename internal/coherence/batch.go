package coherence

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
)

// pairs are the keys of tags as the scripts want them: token and intents of each.
func (k *Keyspace) pairs(keys []string, tags []cachekeys.Digest) []string {
	for _, t := range tags {
		keys = append(keys, k.names.Token(t), k.names.Intents(t))
	}
	return keys
}

// A call is one script with its arguments.
type call struct {
	script *redis.Script
	keys   []string
	args   []any
}

// run runs calls in one pipeline, in Cluster to as many nodes at once as their keys lie on, and returns what each answered. A server that has not seen a script yet is sent its text,
// with everything else that failed for that reason, in a second one.
func run(ctx context.Context, c redis.UniversalClient, calls []call) ([]any, error) {
	results := make([]any, len(calls))
	again, err := pipeline(ctx, c, calls, results, func(p redis.Pipeliner, i int) *redis.Cmd {
		return calls[i].script.EvalSha(ctx, p, calls[i].keys, calls[i].args...)
	}, all(len(calls)))
	if err != nil || len(again) == 0 {
		return results, err
	}
	_, err = pipeline(ctx, c, calls, results, func(p redis.Pipeliner, i int) *redis.Cmd {
		return calls[i].script.Eval(ctx, p, calls[i].keys, calls[i].args...)
	}, again)
	return results, err
}

// pipeline sends the calls with these numbers and reports which ones wait for their script.
func pipeline(ctx context.Context, c redis.UniversalClient, calls []call, results []any, send func(redis.Pipeliner, int) *redis.Cmd, which []int) (again []int, err error) {
	commands := make([]*redis.Cmd, len(calls))
	p := c.Pipeline()
	for _, i := range which {
		commands[i] = send(p, i)
	}
	_, _ = p.Exec(ctx) // each command has its own error
	for _, i := range which {
		got, cerr := commands[i].Result()
		switch {
		case cerr == nil || errors.Is(cerr, redis.Nil):
			results[i] = got
		case strings.HasPrefix(cerr.Error(), "NOSCRIPT"):
			again = append(again, i)
		case err == nil:
			err = cerr
		}
	}
	return again, err
}

func all(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// list is a script's answer as a list; nil if it is none.
func list(v any) []any {
	l, _ := v.([]any)
	return l
}
