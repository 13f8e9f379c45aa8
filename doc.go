// Package sidecar is the map of this module; the program is cmd/sidecar.
//
// The path of a request, by package:
//
//	cmd/sidecar            builds the parts, starts and stops them
//	proxy                  the path of one request: read, answer, miss, ask, capture, write, pass
//	policy                 the plan of a request, from policies.yaml
//	cachekeys              keys, tags, templates
//	internal/caller        identification of callers
//	internal/store         look-up and fill, on internal/entry's format
//	internal/coherence     validity of entries: the protocol behind the guarantee after a write
//	internal/httpcache     the rules of storing and serving (RFC 9111)
//	internal/backend       the transport to the API
//	internal/redisconn     Redis: time budget, breaker, probe
//	jobhook, internal/jobs slow POSTs as jobs
//	internal/ops           health, status, metrics, administration
//
// docs/architecture.md has their rows: a package imports only from rows below its own.
package sidecar
