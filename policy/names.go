package policy

import (
	"strings"

	"sidecar/internal/httpfield"
	"sidecar/policy/yamldoc"
)

// names reads a list of names, each of which may end in '*'. isName is true for a name without it.
func (l *loader) names(n yamldoc.Node, what string, isName func(string) bool) []string {
	var out []string
	for _, s := range l.Texts(n, what) {
		name := strings.TrimSuffix(s.Text, "*")
		switch {
		case strings.Contains(name, "*"), strings.HasSuffix(name, "?"):
			l.Fault(s, "%q: a * stands at the end of a name, for all that begin with the text before "+
				"it, and nothing else stands for other names", s.Text)
		case strings.HasSuffix(name, ".") && name != s.Text:
			l.Fault(s, "%q is no regular expression: write %q for all names that begin so", s.Text,
				strings.TrimRight(name, ".")+"*")
		case name != "" && !isName(name):
			l.Fault(s, "%q in %s is no name%s", s.Text, what, instead(s.Text))
		case s.Text == "":
			l.Fault(s, "an element of %s is a name, and not empty", what)
		default:
			out = append(out, s.Text)
		}
	}
	return out
}

// isParameter reports whether s may be the name of a parameter or a cookie.
func isParameter(s string) bool { return !strings.ContainsAny(s, "=&;, ") }

func isFieldName(s string) bool { return httpfield.IsToken(s) }

// noFieldName tells of a text that is no name of a field.
func (l *loader) noFieldName(at yamldoc.Placed, text string) {
	l.Fault(at, "%q is no name of a field%s", text, instead(text))
}

// instead is the end of a message about a text that is no name: the name that was probably meant.
func instead(text string) string {
	if first, rest, several := strings.Cut(text, ","); several && first != "" && rest != "" {
		return ": make a list of them, [" + strings.Join(strings.Fields(
			strings.ReplaceAll(text, ",", ", ")), " ") + "]"
	}
	meant, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(text), "header:"), "=")
	meant = strings.ReplaceAll(strings.TrimRight(meant, ": "), " ", "-")
	if meant != "" && httpfield.IsToken(meant) {
		return ": write " + meant
	}
	return ""
}
