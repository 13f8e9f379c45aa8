package peek_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"sidecar/internal/peek"
)

type body struct {
	io.Reader
	closed bool
}

func (b *body) Close() error { b.closed = true; return nil }

func TestABodyReadsAsIfNobodyHadLooked(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name  string
		in    string
		err   error // after in
		whole bool
	}{
		{"empty", "", nil, true}, {"as long as may be", "1234", nil, true},
		{"longer", "12345", nil, false},
		{"much longer", strings.Repeat("x", 10_000), nil, false},
		{"cut off", "12", broken, false}, {"cut off behind the limit", "1234567", broken, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := &body{Reader: strings.NewReader(tt.in)}
			if tt.err != nil {
				in.Reader = io.MultiReader(in.Reader, iotest.ErrReader(tt.err))
			}
			content, whole, again, _ := peek.Body(in, 4)
			if whole != tt.whole || !strings.HasPrefix(tt.in, string(content)) ||
				len(content) > 5 || whole && string(content) != tt.in {
				t.Errorf("%q, whole %v", content, whole)
			}
			if got, err := io.ReadAll(again); string(got) != tt.in || err != tt.err {
				t.Errorf("then %q %v", got, err)
			}
			if _ = again.Close(); !in.closed {
				t.Error("it is not closed")
			}
		})
	}
}
