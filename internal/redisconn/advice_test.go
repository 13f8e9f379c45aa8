package redisconn_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sidecar/internal/config"
	"sidecar/internal/redisconn"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

// awaitAdvice waits until the advice has lines that begin as wanted, and no others.
func awaitAdvice(t *testing.T, cache, jobs *redisconn.Conn, want ...string) {
	t.Helper()
	proc.Await(t, 10*time.Second, func() error {
		got := redisconn.Advice(cache, jobs, true)
		same := slices.EqualFunc(got, want,
			func(line, begin string) bool { return strings.HasPrefix(line, begin) })
		if !same {
			return fmt.Errorf("%s", strings.Join(got, "\n"))
		}
		return nil
	})
}

func TestAdviceNamesTheSettingAndTheRemedyForEachRole(t *testing.T) {
	t.Parallel()
	connect := func(r config.Redis, name string) *redisconn.Conn {
		c, err := redisconn.New(redisconn.Options{
			Name: name, Redis: r, Breaker: patient, Names: testNames,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		probing(t, c)
		return c
	}
	good := redisd.Password("geheim")
	cache := redisd.Start(t, good, redisd.Config("maxmemory 100mb", "maxmemory-policy allkeys-lfu"))
	jobs := redisd.Start(t, good, redisd.Config("appendonly yes"))
	awaitAdvice(t, connect(cache.Redis(), "cache"), connect(jobs.Redis(), "jobs"))

	// The guide's one configuration for both, the other way round.
	slow := redisd.Start(t, redisd.Config("slowlog-log-slower-than 0"))
	slow.Do("SET", "test:e:{x}", "1")
	slow.Do("SET", "other:e:{x}", "1")
	swapped := redisd.Start(t, redisd.Config("maxmemory 100mb", "maxmemory-policy allkeys-lru"))
	awaitAdvice(t, connect(slow.Redis(), "cache"), connect(swapped.Redis(), "jobs"),
		"cache: maxmemory is not set",
		"cache: the slow log has commands on our keys (EVAL, EVALSHA",
		"cache: it is used without a password: set one there, and REDIS_PASSWORD",
		"job store: maxmemory-policy is allkeys-lru: Redis may throw accepted jobs away",
		"job store: appendonly is no",
		"job store: it is used without a password",
	)
	refusing := redisd.Start(t, good,
		redisd.Config("maxmemory 100mb", "maxmemory-policy noeviction", "appendonly yes"))
	awaitAdvice(t, connect(refusing.Redis(), "cache"), connect(jobs.Redis(), "jobs"),
		"cache: maxmemory-policy is noeviction")

	// One server under two names.
	other := refusing.Redis()
	other.Host = "localhost"
	awaitAdvice(t, connect(refusing.Redis(), "cache"), connect(other, "jobs"),
		"cache and jobs share one Redis")

	away := connect(config.Redis{
		Host: "redis.example", Port: "6379", Password: config.NewSecret("p"),
	}, "cache")
	awaitAdvice(t, away, connect(jobs.Redis(), "jobs"),
		"cache: passwords and responses cross the network in the clear: set REDIS_TLS=true")
}
