package keysecret

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"sidecar/cachekeys"
	"sidecar/test/proc"
	"sidecar/test/redisd"
)

var shared *redisd.Server

func TestMain(m *testing.M) { os.Exit(redisd.Main(m, &shared)) }

// kept returns a secret under the test's own key in r, and its log.
func kept(t *testing.T, r *redisd.Server) (*Secret, *bytes.Buffer) {
	log := new(bytes.Buffer)
	names := cachekeys.NewNames(t.Name())
	return Kept(r.Connect(t, names, nil), names.Secret(), slog.New(slog.NewTextHandler(log, nil))),
		log
}

func TestTwoAtOnceMakeOneSecret(t *testing.T) {
	const many = 16
	secrets := make([]*Secret, many)
	var all sync.WaitGroup
	for i := range secrets {
		secrets[i], _ = kept(t, shared)
		all.Go(func() {
			if err := secrets[i].agree(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, s := range secrets {
		if len(s.Value()) != length || !bytes.Equal(s.Value(), secrets[0].Value()) {
			t.Fatalf("one has %x, another %x", s.Value(), secrets[0].Value())
		}
	}
}

func TestASecretThatWasKeptBeforeIsTaken(t *testing.T) {
	first, _ := kept(t, shared)
	second, _ := kept(t, shared)
	for _, s := range []*Secret{first, second} {
		if err := s.agree(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Value(), second.Value()) {
		t.Error("a sidecar that starts later has another secret")
	}
}

// Plans hold for as long as the secret that they were made with, by its identity.
func TestASecretThatStaysIsTheSame(t *testing.T) {
	s, _ := kept(t, shared)
	var first []byte
	for range 2 {
		if err := s.agree(t.Context()); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = s.Value()
		}
	}
	if &first[0] != &s.Value()[0] {
		t.Error("it was taken anew")
	}
}

func TestASecretThatWentMissingIsWrittenAgain(t *testing.T) {
	s, log := kept(t, shared)
	if err := s.agree(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(s.Value())
	shared.For(t).Do("DEL", s.key)
	if err := s.agree(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := shared.For(t).Do("GET", s.key); got != string(before) ||
		!bytes.Equal(s.Value(), before) {
		t.Error("the secret that was in memory is not in Redis again")
	}
	if log.Len() > 0 {
		t.Errorf("logged: %s", log)
	}
}

func TestAnotherSecretIsTakenAndSaid(t *testing.T) {
	s, log := kept(t, shared)
	if err := s.agree(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := strings.Repeat("o", length)
	shared.For(t).Do("SET", s.key, other)
	if err := s.agree(t.Context()); err != nil {
		t.Fatal(err)
	}
	if string(s.Value()) != other || !strings.Contains(log.String(), "another than before") {
		t.Errorf("it is %q; logged: %s", s.Value(), log)
	}
	if strings.Contains(log.String(), other) {
		t.Error("the secret is in the log")
	}
}

func TestWhatIsTooShortToBeASecretIsRefused(t *testing.T) {
	s, log := kept(t, shared)
	shared.For(t).Do("SET", s.key, "short")
	if err := s.agree(t.Context()); err == nil || s.Value() != nil {
		t.Errorf("%q is taken, %v", s.Value(), err)
	}
	if !strings.Contains(log.String(), "too short") || strings.Contains(log.String(), "=short") {
		t.Errorf("logged: %s", log)
	}
}

func TestASecretStaysKnownWhileRedisIsAway(t *testing.T) {
	redis := redisd.Start(t)
	s, _ := kept(t, redis)
	if s.Value() != nil {
		t.Fatal("a secret is known before anybody asked for it")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	proc.Await(t, 10*time.Second, func() error {
		if s.Value() == nil {
			return fmt.Errorf("not known")
		}
		return nil
	})
	before := bytes.Clone(s.Value())
	redis.Kill()
	if err := s.agree(t.Context()); err == nil || !bytes.Equal(s.Value(), before) {
		t.Errorf("without Redis: %v, the secret changed: %t", err, !bytes.Equal(s.Value(), before))
	}
	cancel()
	<-ended
}

func TestReportSaysHowAndNeverWhat(t *testing.T) {
	unknown, _ := kept(t, shared)
	known, _ := kept(t, shared)
	if err := known.agree(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		secret *Secret
		want   string
		degr   bool
	}{
		{Configured("a configured secret of many bytes"), "configured", false},
		{unknown, "unknown", true},
		{known, "set KEY_SECRET", false},
	} {
		name, value, degraded := c.secret.Report(t.Context())
		text, _ := json.Marshal([]any{value, degraded})
		if name != "key_secret" || !strings.Contains(string(text), c.want) ||
			len(degraded) > 0 != c.degr {
			t.Errorf("%s: %s, want %q", name, text, c.want)
		}
		if v := c.secret.Value(); v != nil && bytes.Contains(text, v) {
			t.Error("the report holds the secret")
		}
	}
}

func TestAConfiguredSecretAsksNobody(t *testing.T) {
	s := Configured("as it is")
	s.Run(t.Context()) // returns at once: there is no connection to ask
	if string(s.Value()) != "as it is" {
		t.Errorf("%q", s.Value())
	}
}
