package tracing_test

import (
	"net/http"
	"testing"
	"time"

	"sidecar/internal/tracing"
)

const (
	trace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	parent = "00f067aa0ba902b7"
)

func TestATraceparentIsReadAsTheStandardSays(t *testing.T) {
	for value, want := range map[string]bool{
		"00-" + trace + "-" + parent + "-01":                    true,
		" 00-" + trace + "-" + parent + "-00\t":                 true,
		"00-" + trace + "-" + parent + "-ff":                    true,
		"01-" + trace + "-" + parent + "-01":                    true,
		"cc-" + trace + "-" + parent + "-01-more":               true,
		"00-" + trace + "-" + parent + "-01-more":               false,
		"cc-" + trace + "-" + parent + "-01more":                false,
		"ff-" + trace + "-" + parent + "-01":                    false,
		"0-" + trace + "-" + parent + "-01":                     false,
		"00-" + trace + "-" + parent + "-1":                     false,
		"00-" + trace + "-" + parent + "-0g":                    false,
		"00-" + trace + "-" + parent:                            false,
		"00_" + trace + "-" + parent + "-01":                    false,
		"00-" + trace[1:] + "-" + parent + "-01":                false,
		"00-" + trace[1:] + "--" + parent + "-01":               false,
		"00-4BF92F3577B34DA6A3CE929D0E0E4736-" + parent + "-01": false,
		"00-00000000000000000000000000000000-" + parent + "-01": false,
		"00-" + trace + "-0000000000000000-01":                  false,
		"":                                                      false,
	} {
		c := tracing.ContextOf(http.Header{"Traceparent": {value}})
		if c.Valid() != want {
			t.Errorf("%q: %v", value, c.Valid())
		}
	}
	twice := "00-" + trace + "-" + parent + "-01"
	if c := tracing.ContextOf(http.Header{"Traceparent": {twice, twice}}); c.Valid() {
		t.Error("two of them are one")
	}
}

func tracer(t *testing.T, sampler, arg string) *tracing.Tracer {
	t.Helper()
	s, err := tracing.ParseSampler(sampler, arg)
	if err != nil {
		t.Fatal(err)
	}
	tr := tracing.New(tracing.Options{
		Endpoint: "http://127.0.0.1:1", Sampler: s, Timeout: time.Second, Delay: time.Hour,
		BatchTime: time.Second, Queue: 100, Batch: 100,
	})
	t.Cleanup(func() { tr.Shutdown(done()) })
	return tr
}

// The context of a client goes on as it came unless the request is recorded; then the span is the
// parent of the next. Where there was none, the next knows that it is not recorded.
func TestTheSampledFlagOfTheClientDecides(t *testing.T) {
	const sampled, unsampled = "00-" + trace + "-" + parent + "-01", "00-" + trace +
		"-" + parent + "-00"
	for _, c := range []struct {
		sampler, arg, traceparent string
		recorded, same            bool
		flags                     string
	}{
		{"parentbased_always_on", "", sampled, true, false, "01"},
		{"parentbased_always_on", "", unsampled, false, true, ""},
		{"parentbased_always_on", "", "", true, false, "01"},
		{"parentbased_always_on", "", "garbage", true, false, "01"},
		{"parentbased_always_on", "", "00-" + trace + "-" + parent + "-03", true, false, "03"},
		{"parentbased_always_off", "", sampled, true, false, "01"},
		{"parentbased_always_off", "", "", false, false, "00"},
		{"parentbased_always_off", "", "garbage", false, false, "00"},
		{"parentbased_traceidratio", "0", sampled, true, false, "01"},
		{"parentbased_traceidratio", "0", "", false, false, "00"},
		{"parentbased_traceidratio", "", "", true, false, "01"},
		{"traceidratio", "0", sampled, false, true, ""},
		{"traceidratio", "1", unsampled, true, false, "01"},
		{"always_on", "", unsampled, true, false, "01"},
		{"always_off", "", sampled, false, true, ""},
	} {
		fields := http.Header{"Tracestate": {"a=1", "b=2"}}
		if c.traceparent != "" {
			fields.Set("Traceparent", c.traceparent)
		}
		span := tracer(t, c.sampler, c.arg).Receive(tracing.Server, fields, time.Now())
		span.Inject(fields)
		got, valid := fields.Get("Traceparent"), tracing.ContextOf(http.Header{
			"Traceparent": {c.traceparent}})
		switch {
		case span.Recorded() != c.recorded, (got == c.traceparent) != c.same:
			t.Errorf("%+v: recorded %v, and %q goes on", c, span.Recorded(), got)
		case !c.same && got[len(got)-2:] != c.flags:
			t.Errorf("%+v: %q goes on", c, got)
		case valid.Valid() != (len(fields["Tracestate"]) == 2),
			valid.Valid() != (got[3:35] == trace):
			t.Errorf("%+v: %v goes on", c, fields)
		case !c.same && got[36:52] == parent:
			t.Errorf("%+v: the parent is still the client's span", c)
		}
	}
}

func TestAShareOfTracesIsSampledByTheirIDs(t *testing.T) {
	sampler, err := tracing.ParseSampler("traceidratio", "0.25")
	if err != nil {
		t.Fatal(err)
	}
	for first, want := range map[byte]bool{0: true, 0x3f: true, 0x40: false, 0xff: false} {
		id := [16]byte{8: first, 15: 1}
		if got := sampler(&tracing.Context{}, id); got != want {
			t.Errorf("%x: %v", id, got)
		}
	}
	for _, arg := range []string{"-1", "2", "NaN", "some"} {
		if _, err := tracing.ParseSampler("traceidratio", arg); err == nil {
			t.Errorf("%s is a share", arg)
		}
	}
}

func TestWithoutATracerNothingIsMade(t *testing.T) {
	var off *tracing.Tracer
	fields := http.Header{"Traceparent": {"garbage"}, "Tracestate": {"x"}}
	span := off.Receive(tracing.Server, fields, time.Now())
	child := span.Child(tracing.Client, "GET", time.Now())
	child.Set(tracing.String("a", "b"))
	child.Name("a")
	child.Fail("a")
	child.End(time.Now())
	span.Inject(fields)
	off.Shutdown(done())
	if span != nil || child != nil || fields.Get("Traceparent") != "garbage" ||
		fields.Get("Tracestate") != "x" || tracing.With(t.Context(), span) != t.Context() {
		t.Errorf("%v, %v, %v", span, child, fields)
	}
}

func FuzzContextOf(f *testing.F) {
	f.Add("00-"+trace+"-"+parent+"-01", "a=1")
	f.Add("01-"+trace+"-"+parent+"-01-", "")
	f.Fuzz(func(t *testing.T, traceparent, state string) {
		c := tracing.ContextOf(http.Header{"Traceparent": {traceparent}, "Tracestate": {state}})
		if c.Valid() && (c.Flags > 3 || len(c.State) > 512) ||
			!c.Valid() && c != (tracing.Context{}) {
			t.Errorf("%q, %q: %+v", traceparent, state, c)
		}
	})
}
