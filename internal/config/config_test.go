package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sidecar/internal/config"
)

func load(t *testing.T, environ ...string) config.Config {
	t.Helper()
	c, err := config.Load(environ, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// faults are all that Load finds wrong.
func faults(t *testing.T, environ ...string) config.Faults {
	t.Helper()
	_, err := config.Load(environ, nil)
	var found config.Faults
	if !errors.As(err, &found) {
		t.Fatalf("%q has no faults: %v", environ, err)
	}
	return found
}

func TestTheDefaultsAreThoseOfTheContract(t *testing.T) {
	c := load(t, "REDIS_HOST=redis")
	for name, same := range map[string]bool{
		"BACKEND_URL":          c.Backend.URL == "http://127.0.0.1:3000",
		"BACKEND_TIMEOUT":      c.Backend.Timeout == 5*time.Minute,
		"BACKEND_DIAL_TIMEOUT": c.Backend.Dial == 2*time.Second,
		"addresses":            c.Listen == ":8080" && c.Ops == ":9090",
		"REDIS_PORT":           c.Redis.Port == "6379",
		"REDIS_TIMEOUT":        c.Timeout == 100*time.Millisecond,
		"REDIS_STORE_TIMEOUT":  c.Store == 2*time.Second,
		"REDIS_KEY_PREFIX":     c.KeyPrefix == "sidecar",
		"breaker": c.Breaker == config.Breaker{
			MaxRequests: 10, Interval: 10 * time.Second, Timeout: 30 * time.Second, MinRequests: 3,
			FailureRatio: 0.6,
		},
		"JOBS_QUEUES": fmt.Sprint(c.JobsQueues) == "map[critical:6 default:3 low:1]",
		"JOBS_REDIS":  c.JobsRedis == c.Redis,
		"bounds": c.ReadHeader == 10*time.Second && c.Idle == 2*time.Minute &&
			c.MaxHeader == 64<<10 && c.MaxConns == 0 && c.MaxInspect == 1<<20,
		"SHUTDOWN_TIMEOUT": c.Shutdown == 25*time.Second,
		"SHUTDOWN_DELAY":   c.ShutdownDelay == 5*time.Second,
		"VIA":              c.Via,
	} {
		if !same {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestAFaultTellsNoPassword(t *testing.T) {
	for _, environ := range []string{
		"BACKEND_URL=htp://user:geheim@h", "BACKEND_URL=http://user:ge%zzgeheim@h",
		"BACKEND_URL=http://:geheim@h:port",
		"BACKEND_URL=user:geheim@h", "BACKEND_URL=user:geheim@h://x", "REDIS_HOST=:geheim@h:6379",
		"REDIS_HOST=redis://:geheim@h", "REDIS_PORT=redis://:geheim@h:6379",
		"REDIS_DB=redis://:geheim@h/0", "REDIS_TIMEOUT=user:geheim@h",
		"REDIS_POOL_SIZE=redis://u:geheim@h",
	} {
		found := faults(t, environ, "REDIS_EMBEDDED=true")
		name, _, _ := strings.Cut(environ, "=")
		if text := found.Error(); strings.Contains(text, "geheim") ||
			!strings.Contains(text, name) {
			t.Errorf("%s: %s", environ, text)
		}
	}
}

func TestAFaultNamesItsVariableAndTheRemedy(t *testing.T) {
	for _, c := range []struct{ environ, variable, says string }{
		{"REDIS_TIMEOUT=soon", "REDIS_TIMEOUT", "soon"},
		{"REDIS_TIMEOUT=0s", "REDIS_TIMEOUT", "over 0"},
		{"REDIS_DB=x", "REDIS_DB", "x"},
		{"REDIS_HOTS=a", "REDIS_HOTS", "did you mean REDIS_HOST?"},
		{"JOBS_CONCURENCY=1", "JOBS_CONCURENCY", "did you mean JOBS_CONCURRENCY?"},
		{"BREAKER_TIMOUT=1s", "BREAKER_TIMOUT", "did you mean BREAKER_TIMEOUT?"},
		{"BACKEND_ADDRESS=a", "BACKEND_ADDRESS", "there is no such variable"},
		{"REDIS_POOL_SIZE=-1", "REDIS_POOL_SIZE", "10 for each CPU"},
		{"REDIS_TLS=perhaps", "REDIS_TLS", "perhaps"},
		{"REDIS_TLS_CA_FILE=ca.pem", "REDIS_TLS_CA_FILE", "REDIS_TLS=true"},
		{"REDIS_TLS_SERVER_NAME=a", "REDIS_TLS_SERVER_NAME", "REDIS_TLS=true"},
		{"REDIS_SENTINEL_PASSWORD=geheim", "REDIS_SENTINEL_HOSTS", "is missing"},
		{"BREAKER_FAILURE_RATIO=2", "BREAKER_FAILURE_RATIO", "up to 1"},
		{"JOBS_QUEUES=a=0", "JOBS_QUEUES", "critical=6"},
		{"TRUSTED_PROXIES=10.0.0.0/99", "TRUSTED_PROXIES", "10.0.0.0/8"},
		{"MAX_HEADER_BYTES=lots", "MAX_HEADER_BYTES", "64MiB"},
		{"LOG_LEVEL=loud", "LOG_LEVEL", "debug, info, warn or error"},
		{"CACHE_STATUS=some", "CACHE_STATUS", "off short full"},
		{"READY_REQUIRES_BACKEND=maybe", "READY_REQUIRES_BACKEND", "started always never"},
		{"JOBS_PATH=jobs", "JOBS_PATH", "/_jobs"},
		{"REDIS_KEY_PREFIX=a:b", "REDIS_KEY_PREFIX", "colons"},
		{"BACKEND_URL=ftp://a", "BACKEND_URL", "http, https, h2c or unix"},
	} {
		found := faults(t, "REDIS_HOST=redis", c.environ)
		if len(found) != 1 || found[0].Variable != c.variable ||
			!strings.Contains(found[0].Msg, c.says) {
			t.Errorf("%s: %v", c.environ, found)
		}
	}
}

func TestAFaultOfATopologyNamesItsVariableAndTheRemedy(t *testing.T) {
	for _, c := range []struct{ environ, variable, says string }{
		{"REDIS_SENTINEL_HOSTS=a:1,b REDIS_SENTINEL_MASTER=m", "REDIS_SENTINEL_HOSTS",
			`"b" is no host with its port`},
		{"REDIS_SENTINEL_HOSTS=a:1", "REDIS_SENTINEL_MASTER", "REDIS_SENTINEL_HOSTS"},
		{"REDIS_SENTINEL_MASTER=m", "REDIS_SENTINEL_HOSTS", "sentinel1:26379"},
		{"REDIS_CLUSTER_HOSTS=a:1,", "REDIS_CLUSTER_HOSTS", "redis1:6379,redis2:6379"},
		{"REDIS_CLUSTER_HOSTS=a:70000", "REDIS_CLUSTER_HOSTS", "redis1:6379"},
		{"REDIS_CLUSTER_HOSTS=::1", "REDIS_CLUSTER_HOSTS", "[2001:db8::1]:6379"},
		{"REDIS_CLUSTER_HOSTS=a:1 REDIS_DB=2", "REDIS_DB", "REDIS_KEY_PREFIX"},
		{"REDIS_CLUSTER_HOSTS=a:1 REDIS_HOST=b", "", "REDIS_HOST and REDIS_CLUSTER_HOSTS"},
		{"REDIS_SENTINEL_HOSTS=a:1 REDIS_SENTINEL_MASTER=m REDIS_URL=redis://b", "",
			"REDIS_URL and REDIS_SENTINEL_HOSTS"},
		{"REDIS_HOST=a REDIS_TLS=true REDIS_TLS_CERT_FILE=c", "REDIS_TLS_KEY_FILE",
			"REDIS_TLS_CERT_FILE"},
		{"REDIS_HOST=a REDIS_TLS=true REDIS_TLS_KEY_FILE=c", "REDIS_TLS_CERT_FILE",
			"REDIS_TLS_KEY_FILE"},
		{"REDIS_HOST=a JOBS_REDIS_CLUSTER_HOSTS=b:1 JOBS_REDIS_DB=1", "JOBS_REDIS_DB",
			"a Cluster has only database 0"},
	} {
		found := faults(t, strings.Fields(c.environ)...)
		if len(found) != 1 || found[0].Variable != c.variable ||
			!strings.Contains(found[0].Msg, c.says) {
			t.Errorf("%s: %v", c.environ, found)
		}
	}
}

func TestEveryKindOfRedisOfTheContractIsTaken(t *testing.T) {
	c := load(t, "REDIS_SENTINEL_HOSTS=a:1, b:2", "REDIS_SENTINEL_MASTER=m",
		"REDIS_SENTINEL_USERNAME=u", "REDIS_SENTINEL_PASSWORD=p",
		"REDIS_TLS=true", "REDIS_TLS_CA_FILE=ca", "REDIS_TLS_CERT_FILE=cert",
		"REDIS_TLS_KEY_FILE=key", "REDIS_TLS_SERVER_NAME=n",
		"JOBS_REDIS_CLUSTER_HOSTS=[2001:db8::1]:6379,c:1")
	if got := c.Redis; strings.Join(got.Sentinels.List(), " ") != "a:1 b:2" || got.Master != "m" ||
		got.SentinelUsername != "u" || !got.TLS || got.CAFile != "ca" {
		t.Errorf("%+v", got)
	}
	if got := c.JobsRedis; strings.Join(got.Cluster.List(), " ") != "[2001:db8::1]:6379 c:1" ||
		got.TLS {
		t.Errorf("%+v", got)
	}
	if got := load(t, "REDIS_URL=rediss://h", "REDIS_TLS_CA_FILE=ca").Redis.CAFile; got != "ca" {
		t.Errorf("%q", got)
	}
}

func TestAllFaultsAreToldAtOnce(t *testing.T) {
	found := faults(t, "REDIS_TIMEOUT=x", "BREAKER_INTERVAL=y", "JOBS_QUEUE=z")
	if len(found) != 3 || len(strings.Split(found.Error(), "\n")) != 3 {
		t.Errorf("%v", found)
	}
}

func TestExactlyOneKindOfRedisIsNamed(t *testing.T) {
	for _, environ := range [][]string{
		nil,
		{"REDIS_HOST=a", "REDIS_URL=redis://b"},
		{"REDIS_HOST=a", "REDIS_EMBEDDED=true"},
		{"REDIS_HOST=a", "JOBS_REDIS_PORT=1"}, // nothing is inherited, so that there is no host
		{"REDIS_HOST=a", "JOBS_REDIS_HOST=b", "JOBS_REDIS_URL=redis://c"},
	} {
		if found := faults(t, environ...); len(found) != 1 {
			t.Errorf("%q: %v", environ, found)
		}
	}
	c := load(t, "REDIS_HOST=a", "REDIS_PASSWORD=p", "JOBS_REDIS_HOST=b")
	if c.JobsRedis.Host != "b" || c.JobsRedis.Password.IsSet() {
		t.Errorf("the job store inherited something: %+v", c.JobsRedis)
	}
	for _, named := range []string{
		"REDIS_HOST=a", "REDIS_CLUSTER_HOSTS=a:1", "REDIS_SENTINEL_HOSTS=a:1",
		"REDIS_TLS_CA_FILE=ca",
	} {
		c, err := config.Load([]string{named}, map[string]string{"REDIS_EMBEDDED": "true"})
		if err != nil || !c.Redis.Embedded || c.Redis.Host != "" {
			t.Errorf("--embedded does not win over %s: %+v %v", named, c.Redis, err)
		}
	}
}

func TestWhatKubernetesMakesForServicesIsNoneOfOurs(t *testing.T) {
	c := load(t, "REDIS_HOST=a", "REDIS_PORT=tcp://10.0.0.1:6380", "REDIS_SERVICE_HOST=10.0.0.1",
		"REDIS_SERVICE_PORT=6379", "REDIS_SERVICE_PORT_REDIS=6379",
		"REDIS_PORT_6379_TCP=tcp://10.0.0.1:6379", "REDIS_PORT_6379_TCP_ADDR=10.0.0.1",
		"JOBS_PORT=tcp://10.0.0.2:80", "BACKEND_SERVICE_HOST=10.0.0.3")
	if c.Redis.Host != "a" || c.Redis.Port != "6380" {
		t.Errorf("%+v", c.Redis)
	}
}

func TestASecretInAFileIsReadAnewAndNeverShown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "password")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("first\n")
	c := load(t, "REDIS_HOST=a", "REDIS_PASSWORD_FILE="+file, "ADMIN_TOKEN=the-token")
	for _, want := range []string{"first", "second"} {
		write(want + "\r\n")
		if got, err := c.Redis.Password.Value(); err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c),
		fmt.Sprintf("%q %x %d", c.AdminToken, c.AdminToken, c.AdminToken),
		string(encoded), c.AdminToken.LogValue().String(),
	} {
		if strings.Contains(shown, "the-token") || strings.Contains(shown, "second") ||
			strings.Contains(shown, "7468652d746f6b656e") {
			t.Errorf("a secret is shown: %s", shown)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Redis.Password.Value(); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a missing file: %v", err)
	}
	if found := faults(t, "REDIS_HOST=a", "ADMIN_TOKEN=a", "ADMIN_TOKEN_FILE=b"); len(found) != 1 ||
		found[0].Variable != "ADMIN_TOKEN" {
		t.Errorf("both forms: %v", found)
	}
}

func TestTheReferenceNamesEveryVariableOnceWithItsDefault(t *testing.T) {
	var b strings.Builder
	if err := config.WriteReference(&b); err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(b.String())
	for _, v := range config.Variables() {
		n := 0
		for _, w := range words {
			if w == v.Name {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s stands there %d times", v.Name, n)
		}
	}
	for _, name := range []string{"REDIS_TIMEOUT", "JOBS_REDIS_HOST", "KEY_SECRET", "VIA"} {
		if !slices.Contains(words, name) {
			t.Errorf("%s is missing", name)
		}
	}
}

func FuzzSize(f *testing.F) {
	for _, seed := range []string{"1", "64MiB", "1GB", "-1", "9223372036854775807GiB", " 1 KiB "} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var s config.Size
		if err := s.UnmarshalText([]byte(text)); err == nil && s < 0 {
			t.Errorf("%q is %d", text, s)
		}
	})
}

func TestTheReferenceHasARowForEachVariable(t *testing.T) {
	name := regexp.MustCompile("^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$")
	for _, v := range config.Variables() {
		if !name.MatchString(v.Name) || v.Help == "" {
			t.Errorf("%q means %q", v.Name, v.Help)
		}
	}
}

func TestTheAccessLogHasAMode(t *testing.T) {
	for text, want := range map[string]config.AccessLog{
		"off": {Off: true}, "errors": {}, "all": {Share: 1}, "1%": {Share: 0.01}, "0%": {},
		"100%": {Share: 1}, "2.5%": {Share: 0.025},
	} {
		if got := load(t, "REDIS_HOST=a", "ACCESS_LOG="+text).AccessLog; got != want {
			t.Errorf("%s is %+v, want %+v", text, got, want)
		}
	}
	if got := load(t, "REDIS_HOST=a").AccessLog; got != (config.AccessLog{}) {
		t.Errorf("the default is %+v", got)
	}
	for _, text := range []string{"on", "1", "101%", "-1%", "NaN%", "%", "all%"} {
		_, err := config.Load([]string{"REDIS_HOST=a", "ACCESS_LOG=" + text}, nil)
		if err == nil || !strings.Contains(err.Error(), "ACCESS_LOG") ||
			!strings.Contains(err.Error(), "like 1%") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTracesAreOnWithAnEndpoint(t *testing.T) {
	for environ, want := range map[string]string{
		"": "", "OTEL_SERVICE_NAME=a": "",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318":                                           "http://c:4318/v1/traces",
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://c/otlp/":                                         "https://c/otlp/v1/traces",
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c/own":                                     "http://c/own",
		"OTEL_EXPORTER_OTLP_ENDPOINT=:: OTEL_SDK_DISABLED=true":                               "",
		"OTEL_EXPORTER_OTLP_ENDPOINT=:: OTEL_TRACES_EXPORTER=none":                            "",
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_TRACES_SAMPLER=other":                          "",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:1 OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://d/": "http://d/",
	} {
		c := load(t, append(strings.Fields(environ), "REDIS_HOST=a")...).Tracing
		if c.On() != (want != "") || want != "" && c.URL() != want {
			t.Errorf("%s: %v, %s", environ, c.On(), c.URL())
		}
	}
}

func TestTheSettingsOfTracesWinOverThoseOfAllSignals(t *testing.T) {
	c := load(t, "REDIS_HOST=a", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318",
		"OTEL_EXPORTER_OTLP_HEADERS=a=1", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=b=2%2C3,c=d%3De",
		"OTEL_EXPORTER_OTLP_TIMEOUT=5", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip",
		"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=7").Tracing
	p := c.Posts()
	fields, err := p.Fields()
	if err != nil || p.Timeout != 7 || p.Compression != "gzip" || len(fields) != 2 ||
		fields.Get("b") != "2,3" || fields.Get("c") != "d=e" {
		t.Errorf("%v, %+v, %v", err, p, fields)
	}
}

func TestAFaultOfTracingNamesItsVariableAndTheRemedy(t *testing.T) {
	const on = "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318"
	for _, c := range []struct{ environ, variable, says string }{
		{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318", "OTEL_EXPORTER_OTLP_ENDPOINT",
			"like http://collector:4318"},
		{on + " OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_PROTOCOL", "port 4318"},
		{on + " OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
			"http/protobuf"},
		{on + " OTEL_EXPORTER_OTLP_HEADERS=geheim", "OTEL_EXPORTER_OTLP_HEADERS", "key=value"},
		{on + " OTEL_EXPORTER_OTLP_CLIENT_KEY=a", "OTEL_EXPORTER_OTLP_CLIENT_KEY", "together"},
		{on + " OTEL_TRACES_SAMPLER=some", "OTEL_TRACES_SAMPLER", "always_on"},
		{on + " OTEL_TRACES_SAMPLER=traceidratio OTEL_TRACES_SAMPLER_ARG=2",
			"OTEL_TRACES_SAMPLER_ARG", "like 0.1"},
		{on + " OTEL_BSP_MAX_QUEUE_SIZE=0", "OTEL_BSP_MAX_QUEUE_SIZE", "over 0"},
		{"OTEL_TRACES_EXPORTER=zipkin", "OTEL_TRACES_EXPORTER", "otlp"},
		{"OTEL_RESOURCE_ATTRIBUTES=a", "OTEL_RESOURCE_ATTRIBUTES", "key=value"},
	} {
		found := faults(t, append(strings.Fields(c.environ), "REDIS_HOST=redis")...)
		if len(found) != 1 || found[0].Variable != c.variable ||
			!strings.Contains(found[0].Msg, c.says) || strings.Contains(found.Error(), "geheim") {
			t.Errorf("%s: %v", c.environ, found)
		}
	}
}

// A value in the wrong form is told with the right form, and not with Go's own words for it.
func TestAValueInTheWrongFormIsToldWithTheRightOne(t *testing.T) {
	for set, want := range map[string]string{
		"VIA=yes":                 `VIA: "yes" is wrong: it is true or false`,
		"REDIS_TIMEOUT=5":         `REDIS_TIMEOUT: "5" is wrong: it is a time with a unit, like 500ms, 5s or 2m`,
		"JOBS_CONCURRENCY=many":   `JOBS_CONCURRENCY: "many" is wrong: it is a whole number`,
		"BREAKER_FAILURE_RATIO=a": `BREAKER_FAILURE_RATIO: "a" is wrong: it is a number, like 0.6`,
	} {
		if got := faults(t, "REDIS_HOST=redis", set); len(got) != 1 || got.Error() != want {
			t.Errorf("%s: %v, want %s", set, got, want)
		}
	}
}

func TestTheFileOfASecretIsToldWithItsVariable(t *testing.T) {
	c := load(t, "REDIS_HOST=redis", "KEY_SECRET_FILE=/nowhere")
	if _, err := c.KeySecret.Value(); err == nil ||
		err.Error() != "KEY_SECRET_FILE: open /nowhere: no such file or directory" {
		t.Errorf("%v", err)
	}
}

func TestTheQueuesAreThoseOfTheVariableOrItsDefault(t *testing.T) {
	for _, tt := range []struct {
		value, want string
		set         bool
	}{{"", "critical default low", false}, {"b=1,a=2", "a b", true}} {
		got, err := config.QueueNames(func(string) (string, bool) { return tt.value, tt.set })
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%+v: %q, %v", tt, got, err)
		}
	}
	if _, err := config.QueueNames(func(string) (string, bool) { return "a", true }); err == nil {
		t.Error("a queue without a weight is none")
	}
}
