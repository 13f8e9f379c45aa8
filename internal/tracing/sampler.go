package tracing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
)

// A Sampler decides whether the span of a request is recorded, by its parent and its trace's id. It
// is safe for concurrent use.
type Sampler func(parent *Context, trace [16]byte) bool

// ParseSampler reads OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG.
func ParseSampler(name, arg string) (Sampler, error) {
	switch name {
	case "always_on":
		return always(true), nil
	case "always_off":
		return always(false), nil
	case "parentbased_always_on":
		return parentBased(always(true)), nil
	case "parentbased_always_off":
		return parentBased(always(false)), nil
	case "traceidratio":
		return ratio(arg)
	case "parentbased_traceidratio":
		root, err := ratio(arg)
		return parentBased(root), err
	}
	return nil, fmt.Errorf("%q is none of: always_on, always_off, traceidratio, "+
		"parentbased_always_on, parentbased_always_off, parentbased_traceidratio", name)
}

func always(sampled bool) Sampler { return func(*Context, [16]byte) bool { return sampled } }

// parentBased follows the parent, and root where there is none.
func parentBased(root Sampler) Sampler {
	return func(parent *Context, trace [16]byte) bool {
		if parent.Valid() {
			return parent.Sampled()
		}
		return root(parent, trace)
	}
}

// ErrRatio means that OTEL_TRACES_SAMPLER_ARG is no share.
var ErrRatio = errors.New("it is a share from 0 to 1, like 0.1")

// ratio samples a share of all traces: the same ones in each process, since it looks at the id as
// OpenTelemetry's Go SDK does. "" is all of them.
func ratio(arg string) (Sampler, error) {
	share := 1.0
	if arg != "" {
		var err error
		if share, err = strconv.ParseFloat(arg, 64); err != nil || !(share >= 0 && share <= 1) {
			return nil, ErrRatio
		}
	}
	if share == 1 {
		return always(true), nil
	}
	bound := uint64(share * (1 << 63))
	return func(_ *Context, trace [16]byte) bool {
		return binary.BigEndian.Uint64(trace[8:])>>1 < bound
	}, nil
}
