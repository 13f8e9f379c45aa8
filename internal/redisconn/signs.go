package redisconn

import (
	"context"
	"net"

	"github.com/redis/go-redis/v9"
)

// signs look at the errors of all commands, those of asynq and of subscriptions among them, for
// signs that the server is no primary any more, or wants another password. Spans get the names of
// their commands here.
type signs struct{ conn *Conn }

func (s signs) look(err error) error {
	if err == nil {
		return nil
	}
	if isDemoted(err) {
		s.conn.open.drop("")
	}
	s.conn.keeper.refused(err)
	return err
}

// DialHook implements redis.Hook.
func (s signs) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		return conn, s.look(err)
	}
}

// ProcessHook implements redis.Hook.
func (s signs) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		s.conn.noteCommands(ctx, cmd)
		return s.look(next(ctx, cmd))
	}
}

// ProcessPipelineHook implements redis.Hook.
func (s signs) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if s.conn.Cluster() {
			cmds = sentOnce(cmds)
		}
		s.conn.noteCommands(ctx, cmds...)
		return s.look(next(ctx, cmds))
	}
}

// A once is a command that is not sent again after an error, but for a redirection. In a pipeline
// of a Cluster the library would send again all commands of a node with one that failed: those that
// are redirected as well, and then two goroutines read the answers of one command.
type once struct{ redis.Cmder }

// NoRetry implements redis.Cmder.
func (once) NoRetry() bool { return true }

func sentOnce(cmds []redis.Cmder) []redis.Cmder {
	all := make([]redis.Cmder, len(cmds))
	for i, c := range cmds {
		all[i] = once{c}
	}
	return all
}
