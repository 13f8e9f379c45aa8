package coherence_test

import (
	"errors"
	"testing"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/test/redisd"
)

// In Cluster nothing orders two nodes: between the two pipelines of an invalidation a filler
// learns a name from an answer that is older than the write. (The invalidation is a job's, which
// closes nothing before.)
func TestInClusterGuardsAreDeletedBeforeTags(t *testing.T) {
	cluster := redisd.StartCluster(t)
	for _, c := range []struct {
		name   string
		guards coherence.Disabled
		want   error // of learning
		stale  coherence.Verdict
	}{
		{"by the protocol", coherence.Disabled{}, coherence.ErrGuardChanged, coherence.Dead},
		{"tags first, as the test must see", coherence.Disabled{GuardsAfterTags: true},
			nil, coherence.Alive},
	} {
		t.Run(c.name, func(t *testing.T) {
			filler := newProcess(t, cluster.Redis(), coherence.Disabled{})
			writer := newProcess(t, cluster.Redis(), c.guards)
			opened := filler.open(nil, []cachekeys.Tag{guard}) // and fetches, before the commit
			var learned error
			writer.SetBetween(func() {
				learned = filler.Learn(t.Context(), opened, []cachekeys.Tag{character})
			})
			if err := writer.Invalidate(t.Context(), nil, cachekeys.Rules("r"),
				[]cachekeys.Tag{character}, []cachekeys.Tag{guard}, 0); err != nil {
				t.Fatal(err)
			}
			if !errors.Is(learned, c.want) {
				t.Errorf("learning gives %v, want %v", learned, c.want)
			}
			if learned == nil && filler.judge(opened.Stamp) != c.stale {
				t.Errorf("what was stored is judged %v, want %v",
					filler.judge(opened.Stamp), c.stale)
			}
		})
	}
}
