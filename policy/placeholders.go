package policy

import (
	"regexp"
	"strings"
	"time"

	"sidecar/policy/yamldoc"
)

// scheduleHole is a placeholder in a field or a body of a schedule.
var scheduleHole = regexp.MustCompile(
	`\{(env\.[A-Za-z_][A-Za-z0-9_]*|now(?:[+-][0-9][0-9a-zµ.]*)?)\}`)

// dollar is a variable as shells write it.
var dollar = regexp.MustCompile(`\$\{?([A-Z_][A-Z0-9_]*)\}?`)

func (l *loader) holesIn(at yamldoc.Placed, v any) {
	switch v := v.(type) {
	case string:
		l.holes(at, v)
	case []any:
		for _, e := range v {
			l.holesIn(at, e)
		}
	case map[string]any:
		for _, e := range v {
			l.holesIn(at, e)
		}
	}
}

// holes checks the placeholders of a text.
func (l *loader) holes(at yamldoc.Placed, text string) {
	for _, m := range scheduleHole.FindAllStringSubmatch(text, -1) {
		if name, ok := strings.CutPrefix(m[1], "env."); ok {
			if l.options.Env == nil {
				continue
			}
			if _, ok := l.options.Env(name); !ok {
				l.Fault(at, "the variable %s is not set", name)
			}
			continue
		}
		if d := strings.TrimPrefix(m[1], "now"); d != "" {
			if _, err := time.ParseDuration(d); err != nil {
				l.Fault(at, "{%s}: %q is no time like -168h%s", m[1], d, inHours(d))
			}
		}
	}
	if rest := scheduleHole.ReplaceAllString(text, ""); strings.ContainsAny(rest, "{}") {
		l.Fault(at, "a schedule has the placeholders {env.NAME}, {now}, {now-168h} and {now+1h}, "+
			"and no other braces")
	}
}
