package coherence

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// This file alone knows whether the tags lie on one server or, in Cluster, each on a slot of its
// own. The steps of the protocol name the work for every tag; here it becomes one script call, or a
// pipeline of calls.

// A step is one action of the protocol on some tags.
type step struct {
	op string // its name in the metrics
	// rules are those in force here, which the step announces; zero: rules play no part.
	rules cachekeys.Tag
	// spreads: the step is also done to the tags of the rules that others have announced.
	spreads bool
	// No tag of then is touched before all of first have been.
	first, then []cachekeys.Digest
	released    []cachekeys.Digest // tags whose intent is taken back, with those of then
	// other processes are told of first, then, and the rules' tags
	pushes bool
	// call makes the script call of the step, or of a part of it.
	call func(part step) redisconn.Call
	// sequel follows if none of witnesses, which are of first, is closed; nil: there is none.
	sequel    Sequel
	witnesses []cachekeys.Digest
}

// stepBatch bounds how many tags one script touches.
const stepBatch = 512

// do does s, and returns the answers of its script in one list: an answer for each tag of first and
// then, in their order; or the digests of other rules' tags, if s spreads.
func (k *Keyspace) do(ctx context.Context, b *redisconn.Budget, s step) (answers []any, err error) {
	if !k.conn.Cluster() {
		return k.onOneServer(ctx, b, s)
	}
	err = k.conn.Do(ctx, b, s.op, func(ctx context.Context, c redis.UniversalClient) (err error) {
		answers, err = k.inCluster(ctx, c, s)
		return err
	})
	return answers, err
}

// onOneServer does s with one script call, or with several where there are many tags.
func (k *Keyspace) onOneServer(ctx context.Context, b *redisconn.Budget,
	s step) (answers []any, err error) {
	s.first, s.then = nil, slices.Concat(s.first, s.then)
	for again := true; again; again = len(s.then) > 0 || len(s.released) > 0 {
		part := s
		part.then, s.then = cut(s.then)
		if part.released = nil; len(s.then) == 0 {
			part.released, s.released = cut(s.released)
		}
		if len(s.then) > 0 {
			part.sequel = nil
		}
		err = k.conn.Do(ctx, b, s.op, func(ctx context.Context, c redis.UniversalClient) error {
			got, err := k.runPart(ctx, c, part)
			answers = append(answers, got...)
			return err
		})
		if err != nil {
			return answers, err
		}
		s.rules = cachekeys.Tag{} // they are announced once
	}
	return answers, nil
}

// runPart does a part of a step in one round trip, and its sequel with it.
func (k *Keyspace) runPart(ctx context.Context, c redis.UniversalClient, part step) ([]any, error) {
	calls := []redisconn.Call{part.call(part)}
	if part.sequel != nil {
		calls = append(calls, part.sequel.Call(k.MoreTokenKeys(nil, part.witnesses), ""))
	}
	got, err := redisconn.Run(ctx, c, calls)
	if err != nil {
		return nil, err
	}
	if part.sequel != nil {
		part.sequel.Answer(got[1])
	}
	return list(got[0]), nil
}

func cut(tags []cachekeys.Digest) (part, rest []cachekeys.Digest) {
	n := min(len(tags), stepBatch)
	return tags[:n], tags[n:]
}

// inCluster does s with a call for each tag, in two pipelines: one for first, and for the rules; a
// second one for then, and for the tags that the rules have added. Nothing orders two nodes, so the
// second is sent when all of the first has been answered.
func (k *Keyspace) inCluster(ctx context.Context, c redis.UniversalClient, s step) ([]any, error) {
	calls := k.callsFor(s, s.first)
	if s.spreads && !s.rules.IsZero() {
		calls = append(calls, k.othersCall(s.rules))
	}
	answers, err := runAll(ctx, c, calls)
	if err != nil {
		return nil, err
	}
	then := s.then
	if s.spreads {
		then = slices.Concat(then, parseDigests(answers))
	}
	if k.between != nil {
		k.between()
	}
	calls = k.callsFor(s, then)
	for i := range s.released {
		calls = append(calls, s.call(step{op: s.op, released: s.released[i : i+1]}))
	}
	second, err := runAll(ctx, c, calls)
	if !s.spreads {
		answers = append(answers, second...)
	}
	if told := slices.Concat(s.first, then); err == nil && s.pushes &&
		len(s.first)+len(s.then) > 0 {
		err = publish(ctx, c, k.names.Channel(), message(told))
	}
	if err == nil && s.sequel != nil {
		err = follow(ctx, c, s.sequel, answers[:min(len(s.witnesses), len(answers))])
	}
	return answers, err
}

// follow runs a sequel in a round trip of its own, if no token is closed.
func follow(ctx context.Context, c redis.UniversalClient, sequel Sequel, tokens []any) error {
	var values strings.Builder
	for _, v := range tokens {
		token := parseToken(v)
		if token.IsZero() {
			return nil
		}
		values.Write(token[:])
	}
	got, err := redisconn.Run(ctx, c, []redisconn.Call{sequel.Call(nil, values.String())})
	if err == nil {
		sequel.Answer(got[0])
	}
	return err
}

// callsFor are the calls for tags that lie on slots of their own. Rules that nobody asks about are
// announced with the first tag, which is All then and lies on their slot.
func (k *Keyspace) callsFor(s step, tags []cachekeys.Digest) (calls []redisconn.Call) {
	for i := range tags {
		part := step{op: s.op, then: tags[i : i+1]}
		if i == 0 && !s.spreads && tags[0] == allDigest {
			part.rules = s.rules
		}
		calls = append(calls, s.call(part))
	}
	return calls
}

func runAll(ctx context.Context, c redis.UniversalClient,
	calls []redisconn.Call) (answers []any, err error) {
	if len(calls) == 0 {
		return nil, nil
	}
	got, err := redisconn.Run(ctx, c, calls)
	for _, answer := range got {
		answers = append(answers, list(answer)...)
	}
	return answers, err
}

// list is a script's answer as a list; nil if it is none.
func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// Read reads keys at once: with one MGET, which concurrent calls share, or in Cluster with a GET
// for each.
func (k *Keyspace) Read(ctx context.Context, b *redisconn.Budget, op string,
	keys []string) (values []any, err error) {
	if !k.conn.Cluster() {
		return k.conn.Read(ctx, b, op, keys)
	}
	err = k.conn.Do(ctx, b, op, func(ctx context.Context, c redis.UniversalClient) (err error) {
		values, err = getEach(ctx, c, keys)
		return err
	})
	return values, err
}

func getEach(ctx context.Context, c redis.UniversalClient, keys []string) ([]any, error) {
	p := c.Pipeline()
	commands := make([]*redis.StringCmd, len(keys))
	for i, key := range keys {
		commands[i] = p.Get(ctx, key)
	}
	if err := redisconn.Exec(ctx, p); err != nil {
		return nil, err
	}
	values := make([]any, len(keys))
	for i, cmd := range commands {
		switch v, err := cmd.Result(); {
		case err == nil:
			values[i] = v
		case !isReply(err): // absent, or not a string
			return nil, err
		}
	}
	return values, nil
}

// isReply reports whether err is Redis's answer about one key. An unreachable node or a slot that
// has moved away gives another error.
func isReply(err error) bool {
	return errors.Is(err, redis.Nil) || strings.HasPrefix(err.Error(), "WRONGTYPE")
}

// publish publishes on the channel of the pushes: a sharded one in Cluster, so that only the nodes
// of its slot carry it.
func publish(ctx context.Context, c redis.UniversalClient, channel string, message any) error {
	if _, cluster := c.(*redis.ClusterClient); cluster {
		return c.SPublish(ctx, channel, message).Err()
	}
	return c.Publish(ctx, channel, message).Err()
}

// subscribe is the other end of publish.
func subscribe(ctx context.Context, c redis.UniversalClient, channel string) *redis.PubSub {
	if _, cluster := c.(*redis.ClusterClient); cluster {
		return c.SSubscribe(ctx, channel)
	}
	return c.Subscribe(ctx, channel)
}

// eachServer calls f with the server, or with every primary of the Cluster. There at gives a
// client of another node.
func (k *Keyspace) eachServer(ctx context.Context, c redis.UniversalClient,
	f func(ctx context.Context, node redis.Cmdable,
		at func(addr string) *redis.Client) error) error {
	cluster, ok := c.(*redis.ClusterClient)
	if !ok {
		return f(ctx, c, nil)
	}
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		return f(ctx, node, k.conn.Node)
	})
}

// pairs appends the keys of tags as the scripts want them: token and intents of each.
func (k *Keyspace) pairs(keys []string, tags []cachekeys.Digest) []string {
	for _, t := range tags {
		keys = append(keys, k.names.Token(t), k.names.Intents(t))
	}
	return keys
}
