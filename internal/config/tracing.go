package config

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Tracing configures traces by OpenTelemetry's own variables. Without an endpoint there are none.
type Tracing struct {
	Disabled bool   `env:"SDK_DISABLED" envDefault:"false" help:"true: no traces, whatever else is set"`
	Exporter string `env:"TRACES_EXPORTER" envDefault:"otlp" help:"where traces go: otlp, or none"`

	Endpoint       string `env:"EXPORTER_OTLP_ENDPOINT" help:"a collector's URL, like http://collector:4318: traces are made, and posted to /v1/traces below it; unset: there are none"`
	TracesEndpoint string `env:"EXPORTER_OTLP_TRACES_ENDPOINT" help:"the same for traces alone: a URL with its path"`
	OTLP           OTLP   `envPrefix:"EXPORTER_OTLP_"`
	Traces         OTLP   `envPrefix:"EXPORTER_OTLP_TRACES_"`

	Service    string `env:"SERVICE_NAME" help:"the name of this service; unset: service.name of OTEL_RESOURCE_ATTRIBUTES, else sidecar"`
	Resource   Pairs  `env:"RESOURCE_ATTRIBUTES" help:"attributes of all spans: key=value,key=value"`
	Sampler    string `env:"TRACES_SAMPLER" envDefault:"parentbased_always_on" help:"which traces are sampled: always_on, always_off, traceidratio, or parentbased_ before one of these"`
	SamplerArg string `env:"TRACES_SAMPLER_ARG" help:"the share of traceidratio, from 0 to 1; unset: 1"`

	Delay     int `env:"BSP_SCHEDULE_DELAY" envDefault:"5000" help:"milliseconds until spans are sent"`
	BatchTime int `env:"BSP_EXPORT_TIMEOUT" envDefault:"30000" help:"milliseconds for sending a batch, with repetitions"`
	Queue     int `env:"BSP_MAX_QUEUE_SIZE" envDefault:"2048" help:"spans that wait; more are dropped"`
	Batch     int `env:"BSP_MAX_EXPORT_BATCH_SIZE" envDefault:"512" help:"spans that are sent together"`
}

// OTLP configures the posts to a collector. A setting that is unset for traces is that of all
// signals.
type OTLP struct {
	Headers     Secret `env:"HEADERS" help:"fields of each post: name=value,name=value"`
	Timeout     int    `env:"TIMEOUT" help:"milliseconds for one post; unset: 10000"`
	Compression string `env:"COMPRESSION" help:"gzip or none; unset: none"`
	Protocol    string `env:"PROTOCOL" help:"http/protobuf, the one that is spoken"`
	CAFile      string `env:"CERTIFICATE" help:"PEM file of the CAs that sign the collector's certificate; unset: the system's"`
	CertFile    string `env:"CLIENT_CERTIFICATE" help:"PEM file of the client certificate"`
	KeyFile     string `env:"CLIENT_KEY" help:"PEM file of its key"`
}

// On reports whether there are traces.
func (t *Tracing) On() bool {
	return !t.Disabled && t.Exporter == "otlp" && (t.TracesEndpoint != "" || t.Endpoint != "")
}

// URL is where traces are posted.
func (t *Tracing) URL() string {
	if t.TracesEndpoint != "" {
		return t.TracesEndpoint
	}
	return strings.TrimSuffix(t.Endpoint, "/") + "/v1/traces"
}

// Posts are the settings of posts of traces.
func (t *Tracing) Posts() OTLP {
	p := t.Traces
	if !p.Headers.IsSet() {
		p.Headers = t.OTLP.Headers
	}
	for _, f := range []struct {
		own *string
		all string
	}{
		{&p.Compression, t.OTLP.Compression}, {&p.Protocol, t.OTLP.Protocol},
		{&p.CAFile, t.OTLP.CAFile}, {&p.CertFile, t.OTLP.CertFile}, {&p.KeyFile, t.OTLP.KeyFile},
	} {
		if *f.own == "" {
			*f.own = f.all
		}
	}
	if p.Timeout == 0 {
		p.Timeout = t.OTLP.Timeout
	}
	if p.Timeout == 0 {
		p.Timeout = 10_000
	}
	return p
}

// check checks the settings in use: traces that are off have no faults.
func (t *Tracing) check() (faults Faults) {
	if t.Exporter != "otlp" && t.Exporter != "none" {
		faults = append(faults, Fault{"OTEL_TRACES_EXPORTER",
			fmt.Sprintf("%q is none of: none, otlp", t.Exporter)})
	}
	if !t.On() {
		return faults
	}
	fault := func(ok bool, name, msg string) {
		if !ok {
			faults = append(faults, Fault{"OTEL_" + name, msg})
		}
	}
	endpoint, name := t.Endpoint, "EXPORTER_OTLP_ENDPOINT"
	if t.TracesEndpoint != "" {
		endpoint, name = t.TracesEndpoint, "EXPORTER_OTLP_TRACES_ENDPOINT"
	}
	u, err := url.Parse(endpoint)
	fault(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", name,
		"it is the URL of a collector that takes OTLP over HTTP, like http://collector:4318")
	p := t.Posts()
	fault(p.Protocol == "" || p.Protocol == "http/protobuf", t.nameOf("PROTOCOL"),
		"only http/protobuf is spoken: a collector takes it on port 4318")
	fault(p.Compression == "" || p.Compression == "none" || p.Compression == "gzip",
		t.nameOf("COMPRESSION"), "it is gzip or none")
	fault(p.Timeout > 0, t.nameOf("TIMEOUT"), "it has to be over 0")
	fault((p.CertFile == "") == (p.KeyFile == ""), t.nameOf("CLIENT_KEY"),
		"the client certificate and its key are set together")
	if _, err := ParsePairs(p.Headers.value); err != nil {
		fault(false, t.nameOf("HEADERS"), err.Error())
	}
	fault(slices.Contains([]string{"always_on", "always_off", "traceidratio"},
		strings.TrimPrefix(t.Sampler, "parentbased_")), "TRACES_SAMPLER",
		"it is always_on, always_off, traceidratio, or parentbased_ before one of these")
	if share, err := strconv.ParseFloat(t.SamplerArg, 64); t.SamplerArg != "" {
		fault(!strings.HasSuffix(t.Sampler, "ratio") || err == nil && share >= 0 && share <= 1,
			"TRACES_SAMPLER_ARG", "it is a share from 0 to 1, like 0.1")
	}
	for _, b := range []struct {
		name  string
		value int
	}{
		{"BSP_SCHEDULE_DELAY", t.Delay}, {"BSP_EXPORT_TIMEOUT", t.BatchTime},
		{"BSP_MAX_QUEUE_SIZE", t.Queue}, {"BSP_MAX_EXPORT_BATCH_SIZE", t.Batch},
	} {
		fault(b.value > 0, b.name, "it has to be over 0")
	}
	return faults
}

// nameOf is the variable of a post's setting, without OTEL_: that of traces if it is set.
func (t *Tracing) nameOf(setting string) string {
	own := map[string]bool{
		"PROTOCOL": t.Traces.Protocol != "", "COMPRESSION": t.Traces.Compression != "",
		"TIMEOUT": t.Traces.Timeout != 0, "HEADERS": t.Traces.Headers.IsSet(),
		"CLIENT_KEY": t.Traces.CertFile != "" || t.Traces.KeyFile != "",
	}
	if own[setting] {
		return "EXPORTER_OTLP_TRACES_" + setting
	}
	return "EXPORTER_OTLP_" + setting
}

// Fields are the header fields of a post. The secret is read each time.
func (o OTLP) Fields() (http.Header, error) {
	value, err := o.Headers.Value()
	if err != nil {
		return nil, err
	}
	pairs, err := ParsePairs(value)
	if err != nil {
		return nil, fmt.Errorf("the headers of OTLP: %w", err)
	}
	fields := http.Header{}
	for _, p := range pairs {
		fields.Add(p.Key, p.Value)
	}
	return fields, nil
}

// A Pair is a key with its value.
type Pair struct{ Key, Value string }

// Pairs are written as key=value,key=value; in values "%2C" is a comma, and "%3D" an equals sign.
type Pairs []Pair

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Pairs) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePairs(string(text))
	return err
}

// ParsePairs reads pairs. An error tells no value, which may be secret.
func ParsePairs(text string) (pairs Pairs, err error) {
	for member := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(member) == "" {
			continue
		}
		key, value, ok := strings.Cut(member, "=")
		if key = strings.TrimSpace(key); !ok || key == "" {
			return nil, errPairs
		}
		if value, err = url.PathUnescape(strings.TrimSpace(value)); err != nil {
			return nil, errPairs
		}
		pairs = append(pairs, Pair{key, value})
	}
	return pairs, nil
}

var errPairs = errors.New("it is a list like key=value,key=value; " +
	"a comma in a value is written as %2C")
