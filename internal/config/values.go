package config

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// A Size is a number of bytes, written as 1048576, 512KiB, 64MiB, 1GiB, or with KB, MB, GB for
// powers of ten.
type Size int64

const noSize = "it is a size like 512KiB, 64MiB or 1048576"

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(text []byte) error {
	number, factor := strings.TrimSpace(string(text)), int64(1)
	for _, unit := range []struct {
		name   string
		factor int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
		{"B", 1}} {
		if n, ok := strings.CutSuffix(number, unit.name); ok {
			number, factor = strings.TrimSpace(n), unit.factor
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return errors.New(noSize)
	}
	*s = Size(n * factor)
	return nil
}

// Queues are weights by queue, written as critical=6,default=3,low=1.
type Queues map[string]int

// UnmarshalText implements encoding.TextUnmarshaler.
func (q *Queues) UnmarshalText(text []byte) error {
	*q = Queues{}
	for member := range strings.SplitSeq(string(text), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(member), "=")
		n, err := strconv.Atoi(weight)
		if name == "" || err != nil || n < 1 || strings.ContainsAny(name, " :{}*") {
			return errors.New("it is a list of queues and weights like critical=6,default=3,low=1")
		}
		if _, twice := (*q)[name]; twice {
			return fmt.Errorf("the queue %q stands there twice", name)
		}
		(*q)[name] = n
	}
	return nil
}

// QueueNames are the queues of JOBS_QUEUES, or of its default, in the order of their names.
func QueueNames(env func(string) (string, bool)) ([]string, error) {
	const name = "JOBS_QUEUES"
	value, set := env(name)
	if !set {
		known := variables()
		value = known[slices.IndexFunc(known,
			func(v Variable) bool { return v.Name == name })].Default
	}
	var q Queues
	if err := q.UnmarshalText([]byte(value)); err != nil {
		return nil, Faults{{name, wrong(value, err.Error())}}
	}
	return slices.Sorted(maps.Keys(q)), nil
}

// Prefixes are networks, written as CIDRs, addresses, or the words loopback and private.
type Prefixes []netip.Prefix

var named = map[string][]string{
	"loopback": {"127.0.0.0/8", "::1/128"},
	"private":  {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10"},
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Prefixes) UnmarshalText(text []byte) error {
	*p = nil
	for member := range strings.SplitSeq(string(text), ",") {
		member = strings.TrimSpace(member)
		if member == "" || member == "none" {
			continue
		}
		texts, ok := named[member]
		if !ok {
			texts = []string{member}
		}
		for _, t := range texts {
			prefix, err := parsePrefix(t)
			if err != nil {
				return fmt.Errorf(
					"%q is neither a network like 10.0.0.0/8, an address, loopback, private nor none",
					member)
			}
			*p = append(*p, prefix)
		}
	}
	return nil
}

func parsePrefix(s string) (netip.Prefix, error) {
	if strings.Contains(s, "/") {
		return netip.ParsePrefix(s)
	}
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}

// Hosts is a list of servers, written as host:port,host:port.
type Hosts string

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hosts) UnmarshalText(text []byte) error {
	var hosts []string
	for member := range strings.SplitSeq(string(text), ",") {
		member = strings.TrimSpace(member)
		host, port, err := net.SplitHostPort(member)
		if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || host == "" ||
			strings.ContainsAny(host, "@/ ") {
			return fmt.Errorf("%q is no host with its port, like redis1:6379; "+
				"a list is redis1:6379,redis2:6379, an IPv6 address [2001:db8::1]:6379", member)
		}
		hosts = append(hosts, member)
	}
	*h = Hosts(strings.Join(hosts, ","))
	return nil
}

// List is the servers, each as host:port.
func (h Hosts) List() []string {
	if h == "" {
		return nil
	}
	return strings.Split(string(h), ",")
}

// AccessLog says which requests have a line: off, errors, all, or a share beside the errors.
type AccessLog struct {
	Off   bool
	Share float64 // of the requests that are no errors: 0 to 1
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *AccessLog) UnmarshalText(text []byte) error {
	switch string(text) {
	case "off":
		*a = AccessLog{Off: true}
		return nil
	case "errors":
		*a = AccessLog{}
		return nil
	case "all":
		*a = AccessLog{Share: 1}
		return nil
	}
	number, percent := strings.CutSuffix(string(text), "%")
	share, err := strconv.ParseFloat(number, 64)
	if err != nil || !percent || !(share >= 0 && share <= 100) {
		return errors.New("it is off, errors, all, or a share like 1%")
	}
	*a = AccessLog{Share: share / 100}
	return nil
}

// Level is a log level.
type Level struct{ slog.Level }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(text []byte) error {
	switch strings.ToLower(string(text)) {
	case "debug", "info", "warn", "error":
		return l.Level.UnmarshalText(text)
	}
	return errors.New("it is debug, info, warn or error")
}
