// Package sidecar is the map of this module; the program is cmd/sidecar.
//
// A request's way, by package:
//
//	cmd/sidecar            builds the parts, starts and stops them
//	proxy                  the path of one request: read, fetch, keep, answer, write, pass
//	policy                 what policies.yaml says of it: the plan
//	cachekeys              keys, tags, templates
//	internal/caller        who asks
//	internal/store         look-up and fill, on internal/entry's format
//	internal/coherence     which entry may still be used: the protocol behind the promise after a write
//	internal/httpcache     what may be stored and served (RFC 9111)
//	internal/backend       the transport to the API
//	internal/redisconn     Redis: time budget, breaker, probe
//	jobhook, internal/jobs slow POSTs as jobs
//	internal/ops           health, status, metrics, administration
//
// docs/architecture.md has the rows in which they stand: a package imports only from rows below its own.
package sidecar
