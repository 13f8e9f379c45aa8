package redisconn

import (
	"context"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// EvictionAdvice warns of a job store that may evict keys. It is "" if there is nothing to warn of,
// or if Redis does not tell: an ACL may forbid INFO.
func (c *Conn) EvictionAdvice(ctx context.Context) string {
	var policy string
	err := c.Do(ctx, nil, "advice", func(ctx context.Context, r redis.UniversalClient) error {
		info, err := r.Info(ctx, "memory").Result()
		for line := range strings.Lines(info) {
			if value, ok := strings.CutPrefix(line, "maxmemory_policy:"); ok {
				policy = strings.TrimSpace(value)
			}
		}
		return err
	})
	if err != nil || policy == "" || policy == "noeviction" {
		return ""
	}
	return fmt.Sprintf("the job store's maxmemory-policy is %s: Redis may throw accepted jobs away. Set it to noeviction, or give jobs a Redis of their own with JOBS_REDIS_HOST.", policy)
}
