package redisconn

import (
	"context"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Primary is a Greeter that keeps replicas out, and notices when another server answers.
type Primary struct{}

// ErrReplica is worded like Redis's own error, which means the same: this server cannot serve.
var ErrReplica = errors.New("READONLY this Redis is a replica: name the primary")

// Greet implements Greeter.
func (Primary) Greet(ctx context.Context, conn redis.Cmdable,
	_ func(addr string) *redis.Client) (string, error) {
	id, role, err := WhoIs(ctx, conn)
	if err == nil && role != "" && role != "master" {
		err = ErrReplica
	}
	return id, err
}

// Moved implements Greeter.
func (Primary) Moved(context.Context, redis.Cmdable, func(addr string) *redis.Client) error {
	return nil
}

// WhoIs asks a server for its replication id and its role. Both are "" if it does not tell, because
// an ACL forbids INFO.
func WhoIs(ctx context.Context, conn redis.Cmdable) (id, role string, err error) {
	info, err := conn.Info(ctx, "replication").Result()
	if forbidden(err) {
		return "", "", nil
	}
	return infoField(info, "master_replid"), infoField(info, "role"), err
}

// forbidden reports whether a server does not allow a command, or does not know it.
func forbidden(err error) bool {
	return isReply(err) && says(err.Error(), []string{"NOPERM", "ERR unknown"})
}

// infoField is the value of a line of INFO.
func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
