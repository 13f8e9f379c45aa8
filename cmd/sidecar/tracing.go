package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"sidecar/internal/config"
	"sidecar/internal/tracing"
)

// newTracer returns the tracer of a configuration; nil: there are no traces, and nothing is made.
func newTracer(c config.Tracing, log *slog.Logger) (*tracing.Tracer, error) {
	if !c.On() {
		return nil, nil
	}
	sampler, err := tracing.ParseSampler(c.Sampler, c.SamplerArg)
	if err != nil {
		return nil, fmt.Errorf("OTEL_TRACES_SAMPLER: %w", err)
	}
	posts := c.Posts()
	if _, err := posts.Fields(); err != nil {
		return nil, err
	}
	secure, err := collectorTLS(posts)
	if err != nil {
		return nil, err
	}
	return tracing.New(tracing.Options{
		Endpoint: c.URL(), Headers: posts.Fields, Gzip: posts.Compression == "gzip", TLS: secure,
		Timeout: milliseconds(posts.Timeout), Sampler: sampler,
		Resource: resourceOf(c), Scope: "sidecar", Version: version,
		Delay: milliseconds(c.Delay), BatchTime: milliseconds(c.BatchTime),
		Queue: c.Queue, Batch: min(c.Batch, c.Queue), Log: log,
	}), nil
}

func milliseconds(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// resourceOf are the attributes of this service. OTEL_SERVICE_NAME wins over
// OTEL_RESOURCE_ATTRIBUTES, and both over what is known without them.
func resourceOf(c config.Tracing) []tracing.Attr {
	pairs := config.Pairs{
		{Key: "service.name", Value: "sidecar"}, {Key: "service.version", Value: version},
		{Key: "telemetry.sdk.name", Value: "sidecar"}, {Key: "telemetry.sdk.language", Value: "go"},
		{Key: "telemetry.sdk.version", Value: version},
	}
	pairs = append(pairs, c.Resource...)
	if c.Service != "" {
		pairs = append(pairs, config.Pair{Key: "service.name", Value: c.Service})
	}
	var attrs []tracing.Attr
	for i, p := range pairs {
		later := pairs[i+1:]
		if !slices.ContainsFunc(later, func(l config.Pair) bool { return l.Key == p.Key }) {
			attrs = append(attrs, tracing.String(p.Key, p.Value))
		}
	}
	return attrs
}

// collectorTLS reads the certificates of posts; nil: the system's.
func collectorTLS(o config.OTLP) (*tls.Config, error) {
	if o.CAFile == "" && o.CertFile == "" {
		return nil, nil
	}
	c := &tls.Config{}
	if o.CAFile != "" {
		pem, err := os.ReadFile(o.CAFile)
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CERTIFICATE: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New(
				"OTEL_EXPORTER_OTLP_CERTIFICATE: the file has no certificate in PEM")
		}
	}
	if o.CertFile != "" {
		own, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: %w", err)
		}
		c.Certificates = []tls.Certificate{own}
	}
	return c, nil
}
