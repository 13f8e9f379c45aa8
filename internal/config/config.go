// Package config reads the environment: every variable, its default and its meaning. It reports all
// faults at once, each with its remedy. It changes nothing and opens no connection.
package config

import "time"

// A Config is the sidecar's configuration. It does not change once loaded.
type Config struct {
	Backend      Backend       `envPrefix:"BACKEND_"`
	CollapseWait time.Duration `env:"COLLAPSE_WAIT" envDefault:"5s" help:"how long others wait for an answer that one of them fetches and that has not begun to come; 0: nobody waits"`
	Ready        string        `env:"READY_REQUIRES_BACKEND" envDefault:"started" help:"whether /readyz waits for the backend: started (until it has answered once), always or never"`
	Listen       string        `env:"LISTEN_ADDR" envDefault:":8080" help:"address of the data plane"`
	Ops          string        `env:"OPS_ADDR" envDefault:":9090" help:"address of health, metrics and administration"`
	Policies     string        `env:"POLICIES_FILE" envDefault:"policies.yaml" help:"the policies; read again when the file changes and on SIGHUP"`

	Redis     Redis         `envPrefix:"REDIS_"`
	JobsRedis Redis         `envPrefix:"JOBS_REDIS_"`
	KeyPrefix string        `env:"REDIS_KEY_PREFIX" envDefault:"sidecar" help:"first part of every cache key: this API's name on a shared Redis"`
	Timeout   time.Duration `env:"REDIS_TIMEOUT" envDefault:"100ms" help:"time limit of all Redis operations of one request together"`
	Store     time.Duration `env:"REDIS_STORE_TIMEOUT" envDefault:"2s" help:"time limit of storing one response"`
	Breaker   Breaker       `envPrefix:"BREAKER_"`

	Memory Size `env:"MEMORY_CACHE_SIZE" envDefault:"64MiB" help:"in-process tier in front of Redis, for routes that allow it; 0 turns it off"`

	JobsConcurrency int    `env:"JOBS_CONCURRENCY" envDefault:"10" help:"workers in this sidecar; 0: only enqueue"`
	JobsQueues      Queues `env:"JOBS_QUEUES" envDefault:"critical=6,default=3,low=1" help:"queues and their weights"`
	JobsPath        string `env:"JOBS_PATH" envDefault:"/_jobs" help:"where clients ask for their jobs"`
	JobsKeys        Secret `env:"JOBS_ENCRYPTION_KEY" help:"32 bytes in base64 that seal jobs in Redis; several, comma separated, for rotation: the first seals, all open"`
	KeySecret       Secret `env:"KEY_SECRET" help:"HMAC key of caller digests; unset: made once and kept in the job store"`
	AdminToken      Secret `env:"ADMIN_TOKEN" help:"bearer token of /admin/; unset: those answer 403"`

	TrustedProxies Prefixes      `env:"TRUSTED_PROXIES" envDefault:"loopback,private" help:"peers whose forwarding fields are believed: CIDRs, addresses, loopback, private"`
	ReadHeader     time.Duration `env:"READ_HEADER_TIMEOUT" envDefault:"10s" help:"for a request's head"`
	Idle           time.Duration `env:"IDLE_TIMEOUT" envDefault:"2m" help:"for a connection without a request"`
	MaxHeader      Size          `env:"MAX_HEADER_BYTES" envDefault:"64KiB" help:"bound of a request's head"`
	MaxConns       int           `env:"MAX_CONNECTIONS" envDefault:"0" help:"bound of client connections; 0: none"`
	MaxInspect     Size          `env:"MAX_INSPECT_BODY" envDefault:"1MiB" help:"size up to which a body is read to fill templates"`
	CacheStatus    string        `env:"CACHE_STATUS" envDefault:"short" help:"the Cache-Status field: off, short (no detail) or full"`
	Via            bool          `env:"VIA" envDefault:"true" help:"send Via to the backend"`
	LogLevel       Level         `env:"LOG_LEVEL" envDefault:"info" help:"debug, info, warn or error"`
	AccessLog      AccessLog     `env:"ACCESS_LOG" envDefault:"errors" help:"requests with a line in the log: off, errors (5xx, refused by the sidecar, over 1 s), all, or a share beside the errors, like 1%"`
	LogFormat      string        `env:"LOG_FORMAT" help:"json or text; unset: text on a terminal, else json"`
	ShutdownDelay  time.Duration `env:"SHUTDOWN_DELAY" envDefault:"5s" help:"on SIGTERM: how long /readyz says 503 while everything is served"`
	Shutdown       time.Duration `env:"SHUTDOWN_TIMEOUT" envDefault:"25s" help:"time limit of the drain after that delay"`

	Tracing Tracing `envPrefix:"OTEL_"`
}

// Backend configures the connection to the API.
type Backend struct {
	URL        string        `env:"URL" envDefault:"http://127.0.0.1:3000" help:"the API: http, https, h2c or unix"`
	Timeout    time.Duration `env:"TIMEOUT" envDefault:"5m" help:"to the first byte of an answer"`
	Dial       time.Duration `env:"DIAL_TIMEOUT" envDefault:"2s" help:"to connect"`
	HealthPath string        `env:"HEALTH_PATH" help:"asked for readiness; unset: a TCP connect"`
}

// Redis configures one Redis. A loaded Config has exactly one of Host, URL, Sentinels, Cluster and
// Embedded.
type Redis struct {
	// Prefix is that of its variables, for messages; "": REDIS_.
	Prefix   string `env:"-"`
	Host     string `env:"HOST" help:"one server"`
	Port     string `env:"PORT" envDefault:"6379" help:"its port"`
	Username string `env:"USERNAME" help:"ACL user"`
	Password Secret `env:"PASSWORD" help:"its password"`
	DB       int    `env:"DB" envDefault:"0" help:"database number"`
	URL      Secret `env:"URL" help:"the same in one line: redis://user:password@host:port/db"`
	Embedded bool   `env:"EMBEDDED" envDefault:"false" help:"an in-process Redis instead: nothing is shared, nothing survives a restart"`
	PoolSize int    `env:"POOL_SIZE" envDefault:"0" help:"connections, in Cluster to each node; 0: 10 for each CPU"`

	Sentinels        Hosts  `env:"SENTINEL_HOSTS" help:"the Sentinels, all of them: host:port,host:port,…"`
	Master           string `env:"SENTINEL_MASTER" help:"the name under which they know the primary"`
	SentinelUsername string `env:"SENTINEL_USERNAME" help:"ACL user of the Sentinels"`
	SentinelPassword Secret `env:"SENTINEL_PASSWORD" help:"their password"`

	Cluster Hosts `env:"CLUSTER_HOSTS" help:"some nodes of a Cluster: host:port,host:port,…"`

	TLS        bool   `env:"TLS" envDefault:"false" help:"TLS to Redis and to the Sentinels"`
	CAFile     string `env:"TLS_CA_FILE" help:"PEM file of the CAs that sign their certificates; unset: the system's"`
	CertFile   string `env:"TLS_CERT_FILE" help:"PEM file of the client certificate"`
	KeyFile    string `env:"TLS_KEY_FILE" help:"PEM file of its key"`
	ServerName string `env:"TLS_SERVER_NAME" help:"name that their certificates have to be for; unset: the host that is dialled"`
}

// Variable is the full name of one of r's variables, as users know it.
func (r Redis) Variable(name string) string {
	if r.Prefix == "" {
		return "REDIS_" + name
	}
	return r.Prefix + name
}

// Breaker configures the circuit breaker of a Redis.
type Breaker struct {
	MaxRequests  uint32        `env:"MAX_REQUESTS" envDefault:"10" help:"probes that must succeed before it closes"`
	Interval     time.Duration `env:"INTERVAL" envDefault:"10s" help:"over which failures are counted"`
	Timeout      time.Duration `env:"TIMEOUT" envDefault:"30s" help:"how long it stays open before a probe"`
	MinRequests  uint32        `env:"MIN_REQUESTS" envDefault:"3" help:"operations before it can open"`
	FailureRatio float64       `env:"FAILURE_RATIO" envDefault:"0.6" help:"share of failures that opens it"`
}
