package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/caarlos0/env/v11"

	"sidecar/internal/nearest"
)

// A Fault is one fault of the environment.
type Fault struct {
	Variable string // "" if several are concerned
	Msg      string // the fault and its remedy; never a secret
}

func (f Fault) Error() string {
	if f.Variable == "" {
		return f.Msg
	}
	return f.Variable + ": " + f.Msg
}

// Faults are in the order of the variables' names.
type Faults []Fault

// Error has a line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Load reads environ, a list of KEY=value. overrides are the variables that flags set; they win
// over the environment. An error is of type Faults.
func Load(environ []string, overrides map[string]string) (Config, error) {
	vars := map[string]string{}
	for _, kv := range environ {
		if key, value, ok := strings.Cut(kv, "="); ok && value != "" {
			vars[key] = value
		}
	}
	withoutKubernetes(vars)
	overrideRedis(vars, overrides)
	maps.Copy(vars, overrides)

	faults := append(unknown(vars), malformed(vars)...)
	var c Config
	if err := parse(&c, without(vars, faults)); err != nil {
		faults = append(faults, Fault{Msg: err.Error()})
	}
	for _, f := range c.finish(vars) {
		if !faults.about(f) {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		slices.SortStableFunc(faults, func(a, b Fault) int {
			return strings.Compare(a.Variable, b.Variable)
		})
		return Config{}, faults
	}
	return c, nil
}

// without are the variables that are not at fault.
func without(vars map[string]string, faults Faults) map[string]string {
	sound := maps.Clone(vars)
	for _, f := range faults {
		delete(sound, f.Variable)
	}
	return sound
}

// about reports whether one of the faults explains another: it is of the same variable, or names a
// Redis where another misses one.
func (fs Faults) about(other Fault) bool {
	return slices.ContainsFunc(fs, func(f Fault) bool {
		return f.Variable == other.Variable && f.Variable != "" ||
			other.Variable == "" && strings.Contains(f.Variable, "REDIS_")
	})
}

// overrideRedis lets --embedded win over any Redis of the environment.
func overrideRedis(vars, overrides map[string]string) {
	if overrides["REDIS_EMBEDDED"] == "true" {
		for _, v := range variablesOf(reflect.TypeFor[Redis](), "REDIS_") {
			delete(vars, v.Name)
			delete(vars, v.Name+"_FILE")
		}
	}
}

func parse(c *Config, vars map[string]string) error {
	return env.ParseWithOptions(c, env.Options{Environment: vars})
}

// malformed parses each variable separately, so that each fault can name its variable.
func malformed(vars map[string]string) Faults {
	var faults Faults
	for _, v := range variables() {
		value, ok := vars[v.Name]
		if ok {
			if err := parse(new(Config), map[string]string{v.Name: value}); err != nil {
				faults = append(faults, Fault{v.Name, wrong(value, cause(err, value))})
			}
		}
		if v.Secret && ok && vars[v.Name+"_FILE"] != "" {
			faults = append(faults, Fault{v.Name,
				"it is set together with " + v.Name + "_FILE: keep one of them"})
		}
	}
	return faults
}

// wrong is the error for a value. A value that looks like a URL, or like credentials before a host,
// is not quoted, and neither is why, which may quote it too.
func wrong(value, why string) string {
	if quotedWhole(value) {
		return unquote
	}
	if strings.Contains(value, "@") || strings.Contains(value, "://") {
		return "its value is wrong; it looks like a URL, and is not shown"
	}
	return fmt.Sprintf("%q is wrong: %s", value, why)
}

// cause is the message of the innermost parser about a value.
func cause(err error, value string) string {
	var aggregate env.AggregateError
	if errors.As(err, &aggregate) && len(aggregate.Errors) > 0 {
		err = aggregate.Errors[0]
	}
	var parse env.ParseError
	if errors.As(err, &parse) {
		err = parse.Err
	}
	if number, ok := errors.AsType[*strconv.NumError](err); ok {
		if number.Func == "ParseBool" {
			return "it is true or false"
		}
		return numberOf(number)
	}
	if strings.Contains(err.Error(), "parse duration") {
		if strings.Trim(value, "0123456789") == "" {
			return "it is a time with a unit, like 500ms, 5s or 2m"
		}
		return "it is a time with a unit, like 500ms, 5s or 2m" + instead(MeantDuration(value))
	}
	if err.Error() == noSize {
		return noSize + instead(MeantSize(value))
	}
	return err.Error()
}

// instead is the end of a message: the value that was probably meant.
func instead(meant string) string {
	if meant == "" {
		return ""
	}
	return ": write " + meant
}

// numberOf says which numbers a parser of numbers takes.
func numberOf(err *strconv.NumError) string {
	switch err.Func {
	case "ParseFloat":
		return "it is a number, like 0.6"
	case "ParseUint":
		return "it is a whole number from 0"
	}
	return "it is a whole number"
}

// finish derives the values that need several variables, and checks those variables against each
// other.
func (c *Config) finish(vars map[string]string) Faults {
	c.files(vars)
	c.Redis.Prefix, c.JobsRedis.Prefix = "REDIS_", "JOBS_REDIS_"
	faults := c.Redis.check()
	if len(c.Redis.kinds()) == 0 {
		faults = append(faults, Fault{Msg: "no Redis is configured: set REDIS_HOST, REDIS_URL, " +
			"REDIS_SENTINEL_HOSTS or REDIS_CLUSTER_HOSTS, " +
			"or REDIS_EMBEDDED=true for one in this process that shares nothing and survives nothing"})
	}
	if setAny(vars, "JOBS_REDIS_") {
		faults = append(faults, c.JobsRedis.check()...)
		if len(c.JobsRedis.kinds()) == 0 {
			faults = append(faults, Fault{Msg: "JOBS_REDIS_… is set but names no Redis: " +
				"set JOBS_REDIS_HOST, JOBS_REDIS_URL, JOBS_REDIS_SENTINEL_HOSTS or " +
				"JOBS_REDIS_CLUSTER_HOSTS; nothing is inherited from REDIS_… then"})
		}
	} else {
		c.JobsRedis = c.Redis
	}
	for _, choice := range []struct{ name, value, words string }{
		{"READY_REQUIRES_BACKEND", c.Ready, "started always never"},
		{"CACHE_STATUS", c.CacheStatus, "off short full"},
		{"LOG_FORMAT", c.LogFormat, "json text"},
	} {
		if choice.value != "" && !slices.Contains(strings.Fields(choice.words), choice.value) {
			meant := ""
			if near := nearest.To(strings.ToLower(choice.value),
				strings.Fields(choice.words)); near != "" {
				meant = ": did you mean " + near + "?"
			}
			faults = append(faults, Fault{choice.name,
				fmt.Sprintf("%q is none of: %s%s", choice.value, choice.words, meant)})
		}
	}
	return append(append(faults, c.Tracing.check()...), c.bounds()...)
}

// bounds checks the ranges of numbers.
func (c *Config) bounds() Faults {
	var faults Faults
	for _, b := range []struct {
		name string
		ok   bool
		msg  string
	}{
		{"REDIS_TIMEOUT", c.Timeout > 0, "it has to be over 0"},
		{"REDIS_STORE_TIMEOUT", c.Store > 0, "it has to be over 0"},
		{"BACKEND_TIMEOUT", c.Backend.Timeout > 0, "it has to be over 0"},
		{"COLLAPSE_WAIT", c.CollapseWait >= 0, "it is 0 for not at all, or a time"},
		{"BACKEND_DIAL_TIMEOUT", c.Backend.Dial > 0, "it has to be over 0"},
		{"SHUTDOWN_TIMEOUT", c.Shutdown > 0, "it has to be over 0"},
		{"SHUTDOWN_DELAY", c.ShutdownDelay >= 0, "it is 0 for none, or a time"},
		{"READ_HEADER_TIMEOUT", c.ReadHeader > 0,
			"it has to be over 0: a client could else hold a connection for ever"},
		{"IDLE_TIMEOUT", c.Idle >= 0, "it is a time, and not below 0"},
		{"BREAKER_INTERVAL", c.Breaker.Interval >= 0,
			"it is 0 to count for as long as the breaker is closed, or a time"},
		{"MAX_INSPECT_BODY", c.MaxInspect > 0, "it has to be over 0"},
		{"BACKEND_HEALTH_PATH", c.Backend.HealthPath == "" ||
			strings.HasPrefix(c.Backend.HealthPath, "/"), "it is a path like /health"},
		{"MAX_CONNECTIONS", c.MaxConns >= 0, "it is 0 for none, or a number of connections"},
		{"MAX_HEADER_BYTES", c.MaxHeader >= 4<<10, "it has to be at least 4KiB"},
		{"JOBS_CONCURRENCY", c.JobsConcurrency >= 0,
			"it is 0 to only enqueue, or a number of workers"},
		{"BREAKER_FAILURE_RATIO", c.Breaker.FailureRatio > 0 && c.Breaker.FailureRatio <= 1,
			"it is a share over 0 and up to 1"},
		{"BREAKER_MAX_REQUESTS", c.Breaker.MaxRequests > 0, "it has to be over 0"},
		{"BREAKER_MIN_REQUESTS", c.Breaker.MinRequests > 0, "it has to be over 0"},
		{"BREAKER_TIMEOUT", c.Breaker.Timeout > 0, "it has to be over 0"},
		{"REDIS_KEY_PREFIX", c.KeyPrefix != "" && !strings.ContainsAny(c.KeyPrefix, "{}*:? "),
			"it is a name without braces, colons, blanks or patterns"},
		{"JOBS_PATH", strings.HasPrefix(c.JobsPath, "/") && len(c.JobsPath) > 1 &&
			!strings.HasSuffix(c.JobsPath, "/") &&
			!strings.ContainsAny(c.JobsPath, "?#%{}"), "it is a path like /_jobs"},
	} {
		if !b.ok {
			faults = append(faults, Fault{b.name, b.msg})
		}
	}
	for _, address := range []Fault{
		{"BACKEND_URL", backendFault(c.Backend.URL)},
		{"LISTEN_ADDR", addressFault(c.Listen)}, {"OPS_ADDR", addressFault(c.Ops)},
	} {
		if address.Msg != "" {
			faults = append(faults, address)
		}
	}
	return faults
}

// schemeOf is the beginning of a message about a URL. The rest of it may hold a password.
func schemeOf(address string) string {
	scheme, _, found := strings.Cut(address, "://")
	if !found || strings.ContainsAny(scheme, ":@/") {
		return ""
	}
	return fmt.Sprintf("%q: ", scheme+"://…")
}

// files sets the secrets that are given as files (…_FILE).
func (c *Config) files(vars map[string]string) {
	for name, secret := range c.secrets() {
		if file := vars[name+"_FILE"]; file != "" {
			secret.file, secret.variable = file, name+"_FILE"
		}
	}
}

func (c *Config) secrets() map[string]*Secret {
	return map[string]*Secret{
		"REDIS_PASSWORD": &c.Redis.Password, "REDIS_URL": &c.Redis.URL,
		"REDIS_SENTINEL_PASSWORD": &c.Redis.SentinelPassword,
		"JOBS_REDIS_PASSWORD":     &c.JobsRedis.Password, "JOBS_REDIS_URL": &c.JobsRedis.URL,
		"JOBS_REDIS_SENTINEL_PASSWORD": &c.JobsRedis.SentinelPassword,
		"JOBS_ENCRYPTION_KEY":          &c.JobsKeys, "KEY_SECRET": &c.KeySecret,
		"ADMIN_TOKEN":                &c.AdminToken,
		"OTEL_EXPORTER_OTLP_HEADERS": &c.Tracing.OTLP.Headers,

		"OTEL_EXPORTER_OTLP_TRACES_HEADERS": &c.Tracing.Traces.Headers,
	}
}

func setAny(vars map[string]string, prefix string) bool {
	for name := range vars {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
