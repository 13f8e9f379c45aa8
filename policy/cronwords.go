package policy

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// shorthands are those that other programs read in the place of five fields.
var shorthands = map[string]string{
	"@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *",
	"@weekly": "0 0 * * 0", "@daily": "0 0 * * *", "@midnight": "0 0 * * *",
	"@hourly": "0 * * * *",
}

// A cronField is one of the five: its values, and the names that stand for them.
type cronField struct {
	name        string
	first, last int
	names       []string // of the values from first on
}

var cronFields = []cronField{
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day of the month", 1, 31, nil},
	{"month", 1, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
	{"day of the week", 0, 6, strings.Fields("sun mon tue wed thu fri sat")},
}

// cronFault says why a text is no cron of five fields, and names the one that was probably meant.
// "" if nothing is found.
func cronFault(text string) string {
	fields := strings.Fields(text)
	if len(fields) == 0 {
		return "it is empty, and " + fiveFields
	}
	head := strings.ToLower(fields[0])
	switch {
	case shorthands[head] != "":
		return "write it as five fields: " + shorthands[head]
	case len(fields) == 1 && head[0] == '@', strings.TrimPrefix(head, "@") == "every":
		every := strings.TrimPrefix(strings.TrimPrefix(strings.Join(fields, ""), "@"), "every")
		if days, ok := strings.CutSuffix(every, "d"); ok && inHours(days+"d") != "" {
			every = strings.TrimPrefix(inHours(days+"d"), ": write ")
		}
		if !plainTime.MatchString(every) {
			every = "24h"
		}
		return "a time between runs of at least 1s is written like @every " + every
	case strings.HasPrefix(head, "tz=") || strings.HasPrefix(head, "cron_tz="):
		return "the zone stands in the field timezone"
	case len(fields) == 6:
		return "it has six fields: take that of the seconds, or of the year, out"
	case len(fields) != 5:
		return fmt.Sprintf("it has %d fields, and %s", len(fields), fiveFields)
	}
	for i, field := range fields {
		for part := range strings.SplitSeq(field, ",") {
			if fault := cronFields[i].fault(part); fault != "" {
				return fault
			}
		}
	}
	return ""
}

const fiveFields = "needs five: minute, hour, day of the month, month and day of the week, like " +
	"30 4 * * *. A time between runs is like @every 24h"

// plainTime is a time as Go writes it.
var plainTime = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(h|m|s))+$`)

// fault says why a part of a field is none of its values.
func (f cronField) fault(part string) string {
	values, step, stepped := strings.Cut(part, "/")
	if n, err := strconv.Atoi(step); stepped && (err != nil || n < 1) {
		return fmt.Sprintf("%q has no step: it is like */5", part)
	}
	if values == "*" || values == "?" {
		return ""
	}
	from, to, isRange := strings.Cut(values, "-")
	first, ok := f.value(from)
	if !ok {
		return f.none(from)
	}
	if !isRange {
		return ""
	}
	last, ok := f.value(to)
	if !ok {
		return f.none(to)
	}
	if last < first {
		return fmt.Sprintf("the range %s ends before it begins: write %s-%d,%d-%s", values, from,
			f.last, f.first, to)
	}
	return ""
}

func (f cronField) value(text string) (int, bool) {
	if i := slices.Index(f.names, strings.ToLower(text)); i >= 0 {
		return f.first + i, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= f.first && n <= f.last
}

// none says that a text is no value of the field.
func (f cronField) none(text string) string {
	also := ""
	if len(f.names) > 0 {
		also = fmt.Sprintf(", or %s to %s", f.names[0], f.names[len(f.names)-1])
	}
	if f.name == "day of the week" && text == "7" {
		also += ". Sunday is 0"
	}
	return fmt.Sprintf("%q is no %s: those are %d to %d%s", text, f.name, f.first, f.last, also)
}

// inHours is the end of a message about a time in days, which has no unit of its own.
func inHours(text string) string {
	days := strings.TrimSuffix(text, "d")
	if n, err := strconv.Atoi(days); days != text && err == nil && n > -10_000 && n < 10_000 {
		return fmt.Sprintf(": write %dh", 24*n)
	}
	return ""
}
