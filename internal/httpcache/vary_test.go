package httpcache_test

import (
	"slices"
	"testing"

	"sidecar/internal/httpcache"
)

func TestVaryNames(t *testing.T) { // RFC 9111 §4.1
	for _, tt := range []struct {
		rule   string
		fields []string
		want   []string
		any    bool
	}{
		{"none", nil, nil, false},
		{"names are canonical, sorted, each once", []string{"Vary: b, accept", "Vary: A, B,"},
			[]string{"A", "Accept", "B"}, false},
		{"an empty Vary names none", []string{"Vary: "}, nil, false},
		{"a star is any", []string{"Vary: *"}, nil, true},
		{"wherever it stands", []string{"Vary: accept", "Vary: b, *"}, nil, true},
		{"what cannot be read is any", []string{"Vary: a/b"}, nil, true},
		{"CORS for one origin varies on Origin",
			[]string{"Access-Control-Allow-Origin: https://a.example"}, []string{"Origin"}, false},
		{"beside the others, once", []string{
			"Vary: Origin, Accept", "Access-Control-Allow-Origin: https://a.example",
		}, []string{"Accept", "Origin"}, false},
		{"so for the origin null", []string{"Access-Control-Allow-Origin: null"},
			[]string{"Origin"}, false},
		{"coded content is for those who ask for the coding (RFC 9110 §12.5.3)",
			[]string{"Content-Encoding: gzip"}, []string{"Accept-Encoding"}, false},
		{"whatever the coding", []string{"Vary: accept-encoding", "Content-Encoding: x, y"},
			[]string{"Accept-Encoding"}, false},
		{"identity is none", []string{"Content-Encoding: Identity"}, nil, false},
		{"CORS for all does not", []string{"Access-Control-Allow-Origin: *"}, nil, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			got, any := httpcache.VaryNames(fields(tt.fields...))
			if any != tt.any || !slices.Equal(got, tt.want) {
				t.Errorf("%q, %v", got, any)
			}
		})
	}
}
