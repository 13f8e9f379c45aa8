package invalidation

import (
	"log/slog"
	"os"
	"testing"

	"sidecar/cachekeys"
	"sidecar/internal/coherence"
	"sidecar/policy"
	"sidecar/policy/pattern"
	"sidecar/test/redisd"
)

var shared *redisd.Server

func TestMain(m *testing.M) { os.Exit(redisd.Main(m, &shared)) }

const policies = `{version: 1, routes: [
  {match: "GET /items/{id}", cache: {scope: shared, ttl: 1h, tags: ["item:{id}", "made:{response.body.by}"]}},
  {match: "PUT /items/{id}", invalidate: ["item:{id}"]}]}`

// setUp returns an invalidator on r, and the names of its keys.
func setUp(t *testing.T, r *redisd.Server) (*Invalidator, cachekeys.Names) {
	t.Helper()
	table, _, err := policy.Load([]byte(policies), policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	names := cachekeys.NewNames(t.Name())
	k := coherence.New(coherence.Options{
		Conn: r.Connect(t, names, nil), Names: names, Log: slog.New(slog.DiscardHandler),
	})
	return &Invalidator{Keyspace: k, Table: func() *policy.Table { return table }}, names
}

func TestWhatChangedIsDroppedForEntriesOfOtherPoliciesTooAndAPurgeIsNot(t *testing.T) {
	for name, c := range map[string]struct {
		drop   func(*Invalidator) error
		others int64 // tokens of other policies that stand afterwards
	}{
		"changed": {func(i *Invalidator) error {
			return i.Changed(t.Context(), []cachekeys.Tag{cachekeys.Named("item:1")})
		}, 0},
		"purged": {func(i *Invalidator) error {
			carried, err := i.Purge(t.Context(), []cachekeys.Tag{
				cachekeys.Named("item:1"), cachekeys.Named("item:3")})
			if carried != 1 {
				t.Errorf("%d of the tags are said to be carried, want 1", carried)
			}
			return err
		}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			i, names := setUp(t, shared)
			r, others := shared.For(t), cachekeys.Rules("of an older file")
			r.Do("ZADD", names.Rules(), 1, others.Digest().String())
			for _, tag := range []cachekeys.Tag{
				others, cachekeys.Named("item:1"), cachekeys.Named("item:2"),
			} {
				r.Do("SET", names.Token(tag.Digest()), "token")
			}
			if err := c.drop(i); err != nil {
				t.Fatal(err)
			}
			for tag, want := range map[cachekeys.Tag]int64{
				cachekeys.Named("item:1"): 0, cachekeys.Named("item:2"): 1, others: c.others,
			} {
				if got := r.Do("EXISTS", names.Token(tag.Digest())); got != want {
					t.Errorf("%v: %v tokens stand, want %d", tag, got, want)
				}
			}
		})
	}
}

func TestTheGuardsOfTagsAreDroppedWithThem(t *testing.T) {
	i, names := setUp(t, shared)
	guard := names.Token(cachekeys.Guard("made:").Digest())
	shared.For(t).Do("SET", guard, "token")
	if _, err := i.Purge(t.Context(), []cachekeys.Tag{cachekeys.Named("made:alice")}); err != nil {
		t.Fatal(err)
	}
	if shared.For(t).Do("EXISTS", guard) != int64(0) {
		t.Error("a fetch under way may learn the tag and be stored with it")
	}
}

func TestEachInvalidationIsCountedWithItsError(t *testing.T) {
	redis := redisd.Start(t)
	i, _ := setUp(t, redis)
	var tags int
	var last error
	i.Done = func(n int, err error) { tags, last = tags+n, err }
	if _, err := i.Purge(t.Context(),
		[]cachekeys.Tag{cachekeys.All, cachekeys.Named("a")}); err != nil ||
		tags != 2 || last != nil {
		t.Errorf("%v: %d tags, %v", err, tags, last)
	}
	redis.Kill()
	if err := i.Changed(t.Context(), []cachekeys.Tag{cachekeys.All}); err == nil ||
		tags != 3 || last == nil {
		t.Errorf("without Redis %v: %d tags, %v", err, tags, last)
	}
}

func TestAURLIsDroppedByItsPath(t *testing.T) {
	i, _ := setUp(t, shared)
	for url, path := range map[string]string{
		"/items/1":                             "/items/1",
		"/items/1?page=2":                      "/items/1",
		"/items/%31":                           "/items/1",
		"https://api.example/items/1":          "/items/1",
		"http://api.example:8080/items/1?a=b":  "/items/1",
		"https://api.example":                  "/",
		"https://user:secret@api.example/a%2F": "/a%2F",
	} {
		tags, fault := i.Parse(Request{URLs: []string{url}})
		if len(tags) != 1 || tags[0] != cachekeys.OwnURI(pattern.Canonical(path)) {
			t.Errorf("%s: %v, %s", url, tags, fault)
		}
	}
}

var _ Keyspace = (*coherence.Keyspace)(nil)
