package reason

import (
	"fmt"
	"io"
)

// A Meaning explains one reason to the operator.
type Meaning struct {
	Reason Reason
	Says   string // its meaning, without a full stop
	Remedy string // the remedy, as sentences; "" if there is nothing to do
}

// A Group is a part of the list.
type Group struct {
	Title    string // a heading
	Where    string // where these reasons are seen, as sentences
	Meanings []Meaning
}

// Groups is the whole list, in the order of the documentation. The result must not be changed.
func Groups() []Group { return groups }

// Meaning explains r. ok is false for a reason that is not on the list.
func (r Reason) Meaning() (m Meaning, ok bool) {
	for _, g := range groups {
		for _, m := range g.Meanings {
			if m.Reason == r {
				return m, true
			}
		}
	}
	return Meaning{}, false
}

// WriteReference writes the list as the page docs/reasons.md.
func WriteReference(w io.Writer) error {
	out := &writer{to: w}
	out.printf("%s", head)
	for _, g := range groups {
		out.printf("\n## %s\n\n%s\n\n| reason | means | remedy |\n|---|---|---|\n",
			g.Title, g.Where)
		for _, m := range g.Meanings {
			remedy := m.Remedy
			if remedy == "" {
				remedy = "None is needed."
			}
			out.printf("| `%s` | %s | %s |\n", m.Reason, m.Says, remedy)
		}
	}
	return out.err
}

const head = `# Reasons

Why a request went past the cache, why a response was not stored, why a POST did not become a job:
one closed list of words. The same words are

- the ` + "`detail`" + ` of ` + "`Cache-Status`" + ` with ` + "`CACHE_STATUS=full`" + `,
- the label ` + "`reason`" + ` of ` + "`sidecar_bypasses_total`" + ` and ` +
	"`sidecar_refused_responses_total`" + `,
- ` + "`reason`, `not_stored` and `detail`" + ` in the access log,
- what ` + "`sidecar explain`" + ` says of a request.

This page is generated from ` + "`internal/reason`" + `.
`

// writer keeps the first error.
type writer struct {
	to  io.Writer
	err error
}

func (w *writer) printf(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(w.to, format, args...)
	}
}
