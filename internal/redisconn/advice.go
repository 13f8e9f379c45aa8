package redisconn

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"sidecar/internal/config"
)

// Advice names settings of the two servers that work and could be better, each with its remedy.
// Advice that depends on a server is missing until it has been asked. withJobs: there are job
// routes.
func Advice(cache, jobs *Conn, withJobs bool) []string {
	var lines []string
	shared := withJobs &&
		(cache.redis == jobs.redis || sameServer(cache.facts.Load(), jobs.facts.Load()))
	if shared {
		lines = append(lines,
			"cache and jobs share one Redis: what makes room for one may take it from the other. "+
				"Give jobs their own with JOBS_REDIS_HOST (or …_URL, …_SENTINEL_HOSTS, …_CLUSTER_HOSTS).")
	} else {
		lines = append(lines, each(cache, "cache", cacheSettings)...)
		lines = append(lines, exposed("cache", cache)...)
	}
	if withJobs {
		lines = append(lines, each(jobs, "job store", jobSettings)...)
		lines = append(lines, exposed("job store", jobs)...)
	}
	return lines
}

func sameServer(a, b *facts) bool {
	return a != nil && b != nil && len(a.servers) == 1 && len(b.servers) == 1 &&
		a.servers[0].runID != "" && a.servers[0].runID == b.servers[0].runID
}

// each is the advice about the servers of a connection; the same line of several nodes once.
func each(c *Conn, role string, settings func(server) []string) []string {
	known := c.facts.Load()
	if known == nil {
		return nil
	}
	var lines []string
	for _, s := range known.servers {
		for _, line := range append(settings(s), general(s, c.Cluster())...) {
			if line = role + ": " + line; !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// cacheSettings is the advice about a server for the cache alone.
func cacheSettings(s server) []string {
	evicts := strings.Contains(s.policy, "lru") || strings.Contains(s.policy, "lfu") ||
		s.policy == "volatile-ttl"
	switch {
	case s.maxMemory == 0:
		return []string{"maxmemory is not set: Redis takes memory until the system ends it. " +
			"Set maxmemory, and maxmemory-policy allkeys-lfu."}
	case s.policy != "" && !evicts:
		return []string{fmt.Sprintf(
			"maxmemory-policy is %s: when Redis is full, nothing new is stored, or anything goes. "+
				"Set allkeys-lfu, or any LRU or LFU.", s.policy)}
	}
	return nil
}

// jobSettings is the advice about a server for jobs, or for both.
func jobSettings(s server) (lines []string) {
	if s.policy != "" && s.policy != "noeviction" {
		lines = append(lines,
			fmt.Sprintf("maxmemory-policy is %s: Redis may throw accepted jobs away. "+
				"Set it to noeviction, or give jobs a Redis of their own with JOBS_REDIS_HOST.",
				s.policy))
	}
	if s.aof == "0" {
		lines = append(lines,
			"appendonly is no: accepted jobs are lost when Redis ends. Set appendonly yes.")
	}
	return lines
}

// general is the advice about any server.
func general(s server, cluster bool) (lines []string) {
	oldest, why := [2]int{6, 2}, "older versions have no fixes for security any more"
	if cluster {
		oldest, why = [2]int{7, 0}, "routes with memory need its sharded pub/sub"
	}
	if v, ok := majorMinor(s.version); ok &&
		(v[0] < oldest[0] || v[0] == oldest[0] && v[1] < oldest[1]) {
		lines = append(lines, fmt.Sprintf("Redis is of version %s: take %d.%d or later, since %s.",
			s.version, oldest[0], oldest[1], why))
	}
	if len(s.slow) > 0 {
		lines = append(lines,
			fmt.Sprintf("the slow log has commands on our keys (%s): look at SLOWLOG GET, "+
				"and at the CPU and the neighbours of that Redis.", strings.Join(s.slow, ", ")))
	}
	return lines
}

func majorMinor(version string) (v [2]int, ok bool) {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 2 {
		return v, false
	}
	for i := range v {
		n, err := strconv.Atoi(parts[i])
		if err != nil {
			return v, false
		}
		v[i] = n
	}
	return v, true
}

// exposed is the advice about a Redis that is open to others.
func exposed(role string, c *Conn) (lines []string) {
	r := c.redis
	if r.Embedded {
		return nil
	}
	a, err := c.keeper.current()
	if err != nil {
		return nil // which is a fault, and told
	}
	if a.password == "" && (a.tls == nil || len(a.tls.Certificates) == 0) {
		lines = append(lines,
			fmt.Sprintf("%s: it is used without a password: set one there, and %s.",
				role, r.Variable("PASSWORD")))
	}
	if a.tls == nil && !loopback(r) {
		lines = append(lines,
			fmt.Sprintf("%s: passwords and responses cross the network in the clear: "+
				"set %s=true, and TLS there.", role, r.Variable("TLS")))
	}
	return lines
}

// loopback reports whether all addresses that r names are on this machine.
func loopback(r config.Redis) bool {
	addrs := slices.Concat(r.Sentinels.List(), r.Cluster.List())
	if len(addrs) == 0 {
		o, err := optionsOf(r)
		if err != nil {
			return true
		}
		addrs = []string{o.Addr}
	}
	return !slices.ContainsFunc(addrs, func(addr string) bool {
		host, _, _ := net.SplitHostPort(addr)
		ip := net.ParseIP(host)
		return host != "localhost" && (ip == nil || !ip.IsLoopback())
	})
}
