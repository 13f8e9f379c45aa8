package telemetry

import (
	"testing"
	"time"

	"sidecar/internal/reason"
)

func TestCacheStatus(t *testing.T) { // RFC 9211 §2, contract §4
	for _, tt := range []struct {
		rule        string
		out         Outcome
		short, full string
	}{
		{"a hit", Outcome{Result: ResultHit, TTL: 287 * time.Second, Detail: reason.InRedis},
			"sidecar; hit; ttl=287", "sidecar; hit; ttl=287; detail=redis"},
		{"a hit from memory", Outcome{Result: ResultHit, TTL: time.Second, Detail: reason.InMemory},
			"sidecar; hit; ttl=1", "sidecar; hit; ttl=1; detail=memory"},
		{"a stale hit, while another request asks",
			Outcome{Result: ResultStale, TTL: -3 * time.Second}, "sidecar; hit; ttl=-3",
			"sidecar; hit; ttl=-3"},
		{"a stale answer after the backend failed",
			Outcome{Result: ResultStale, Reason: reason.Stale, FwdStatus: 503, TTL: -time.Second},
			"sidecar; fwd=stale; fwd-status=503", "sidecar; fwd=stale; fwd-status=503"},
		{"nothing stored", Outcome{Result: ResultMiss, Reason: reason.Miss, Stored: true},
			"sidecar; fwd=uri-miss; stored", "sidecar; fwd=uri-miss; stored"},
		{"stored for other fields", Outcome{Result: ResultMiss, Reason: reason.VaryMiss},
			"sidecar; fwd=vary-miss", "sidecar; fwd=vary-miss"},
		{"stale", Outcome{Result: ResultMiss, Reason: reason.Stale, Collapsed: true},
			"sidecar; fwd=stale; collapsed", "sidecar; fwd=stale; collapsed"},
		{"to be validated", Outcome{Result: ResultMiss, Reason: reason.NoCache},
			"sidecar; fwd=stale", "sidecar; fwd=stale; detail=no-cache"},
		{"invalidated", Outcome{Result: ResultMiss, Reason: reason.Invalidated},
			"sidecar; fwd=miss", "sidecar; fwd=miss; detail=invalidated"},
		{"damaged", Outcome{Result: ResultMiss, Reason: reason.Undecodable}, "sidecar; fwd=miss",
			"sidecar; fwd=miss; detail=undecodable"},
		{"the client wants it fresher", Outcome{Result: ResultMiss, Reason: reason.RequestMaxAge},
			"sidecar; fwd=request", "sidecar; fwd=request; detail=request-max-age"},
		{"not stored, and why", Outcome{
			Result: ResultMiss, Reason: reason.Miss, NotStored: reason.SetCookie,
		}, "sidecar; fwd=uri-miss", "sidecar; fwd=uri-miss; detail=set-cookie"},
		{"a miss that could not open its tokens",
			Outcome{Result: ResultMiss, Reason: reason.Miss, Detail: reason.RedisTimeout,
				NotStored: reason.SetCookie},
			"sidecar; fwd=uri-miss", "sidecar; fwd=uri-miss; detail=redis-timeout"},
		{"past the cache", Outcome{Result: ResultBypass, Reason: reason.BreakerOpen},
			"sidecar; fwd=bypass", "sidecar; fwd=bypass; detail=breaker-open"},
		{"a method that the cache does not know",
			Outcome{Result: ResultBypass, Reason: reason.Method}, "sidecar; fwd=method",
			"sidecar; fwd=method"},
		{"a write", Outcome{Result: ResultWrite}, "sidecar; fwd=method", "sidecar; fwd=method"},
		{"a GET that counts as a write", Outcome{Result: ResultWrite, Reason: reason.RequestBody},
			"sidecar; fwd=bypass", "sidecar; fwd=bypass; detail=request-body"},
		{"a job that its store did not take",
			Outcome{Result: ResultWrite, Reason: reason.JobStoreAway}, "sidecar; fwd=method",
			"sidecar; fwd=method; detail=job-store-away"},
		{"a job", Outcome{Result: ResultJob, Reason: reason.Queued}, "sidecar",
			"sidecar; detail=queued"},
		{"a denied route", Outcome{Result: ResultDeny}, "sidecar", "sidecar"},
		{"an error of the sidecar's own",
			Outcome{Result: ResultRefused, Reason: reason.OnlyIfCached}, "sidecar",
			"sidecar; detail=only-if-cached"},
		{"what was not forwarded has nothing to say of it",
			Outcome{Result: ResultHit, TTL: time.Second, Stored: true,
				Collapsed: true, FwdStatus: 200},
			"sidecar; hit; ttl=1", "sidecar; hit; ttl=1"},
		{"nothing known yet", Outcome{}, "sidecar", "sidecar"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			if got := tt.out.CacheStatus(StatusShort); got != tt.short {
				t.Errorf("short: got %q; want %q", got, tt.short)
			}
			if got := tt.out.CacheStatus(StatusFull); got != tt.full {
				t.Errorf("full: got %q; want %q", got, tt.full)
			}
			if got := tt.out.CacheStatus(StatusOff); got != "" {
				t.Errorf("off: got %q", got)
			}
		})
	}
}

func TestStatusModes(t *testing.T) {
	for s, want := range map[string]StatusMode{
		"short": StatusShort, "off": StatusOff, "full": StatusFull,
	} {
		if got, ok := ParseStatusMode(s); !ok || got != want {
			t.Errorf("%s: got %v, %v", s, got, ok)
		}
	}
	for _, s := range []string{"", "Full", "on"} {
		if _, ok := ParseStatusMode(s); ok {
			t.Errorf("%q is no mode", s)
		}
	}
}
