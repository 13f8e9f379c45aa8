package coherence

import (
	"context"
	"slices"

	"github.com/redis/go-redis/v9"

	"sidecar/cachekeys"
	"sidecar/internal/redisconn"
)

// Invalidate deletes the tokens of guards and tags, guards first, so that a filler that finds a guard standing knows that no tag
// under it has been deleted yet. Everything that carried one of the tags is dead when it returns nil.
//
// On an error the tags are on the dirty list when it returns, so this process reads nothing from Redis until they are
// deleted; other processes may go on serving what carried them until then. The write may be answered all the same.
func (k *Keyspace) Invalidate(ctx context.Context, b *redisconn.Budget, tags, guards []cachekeys.Tag) error {
	if len(tags) == 0 {
		return nil
	}
	all := append(digests(guards), digests(tags)...)
	err := k.delete(ctx, b, all)
	if err != nil && !k.guards.NoDirtyList {
		k.dirty.add(all)
	}
	return err
}

// deleteBatch bounds how many keys one DEL names.
const deleteBatch = 512

func (k *Keyspace) delete(ctx context.Context, b *redisconn.Budget, tags []cachekeys.Digest) error {
	for batch := range slices.Chunk(tags, deleteBatch) {
		keys := k.MoreTokenKeys(nil, batch)
		err := k.conn.Do(ctx, b, "invalidate", func(ctx context.Context, c redis.UniversalClient) error {
			return c.Del(ctx, keys...).Err()
		})
		if err != nil {
			return err
		}
	}
	return nil
}
