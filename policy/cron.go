package policy

import (
	"errors"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// A Cron says when a schedule is due: by five fields in a time zone, or a time after the last run.
type Cron struct {
	every time.Duration
	spec  *cron.SpecSchedule
	text  string
}

// star is the bit of a field of cron.SpecSchedule that is "*" or begins with it.
const star = 1 << 63

// parseCron reads "@every 24h", or five fields for the zone.
func parseCron(text string, zone *time.Location) (Cron, error) {
	c := Cron{text: text + " " + zone.String()}
	if rest, ok := strings.CutPrefix(text, "@every "); ok {
		d, err := time.ParseDuration(strings.TrimSpace(rest))
		if err != nil || d < time.Second {
			return Cron{}, errors.New(cronFault(text))
		}
		c.every = d
		return c, nil
	}
	if fault := cronFault(text); fault != "" {
		return Cron{}, errors.New(fault)
	}
	parsed, err := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month |
		cron.Dow).Parse(text)
	if err != nil {
		return Cron{}, err
	}
	c.spec = parsed.(*cron.SpecSchedule)
	c.spec.Location = zone
	if c.spec.Next(time.Now()).IsZero() {
		return Cron{}, errors.New("there is no such date")
	}
	return c, nil
}

// String tells two of them apart.
func (c Cron) String() string { return c.text }

// Next is the first time after t at which the schedule is due. As cron has it, a run at a fixed
// time that the clock skips comes when it is put forward, and one that the clock repeats comes
// once. One whose hour or minute begins with "*" goes by the time that passes.
func (c Cron) Next(t time.Time) time.Time {
	if c.every > 0 {
		return t.Add(c.every)
	}
	n := c.spec.Next(t)
	if c.spec.Hour&star != 0 || c.spec.Minute&star != 0 {
		return n
	}
	for c.repeated(n) {
		n = c.spec.Next(n)
	}
	if at, ok := c.skipped(t, n); ok {
		return at
	}
	return n
}

// repeated reports whether the clock has shown the time of n once before.
func (c Cron) repeated(n time.Time) bool {
	if n.IsZero() {
		return false
	}
	start, _ := n.In(c.spec.Location).ZoneBounds()
	if start.IsZero() {
		return false
	}
	back := offset(start.Add(-time.Second), c.spec.Location) - offset(start, c.spec.Location)
	return back > 0 && n.Before(start.Add(back))
}

// skipped is the first time between t and n at which the clock is put forward over a run.
func (c Cron) skipped(t, n time.Time) (at time.Time, ok bool) {
	for range 100 {
		_, end := t.In(c.spec.Location).ZoneBounds()
		if end.IsZero() || !n.IsZero() && end.After(n) {
			return time.Time{}, false
		}
		before := offset(end.Add(-time.Second), c.spec.Location)
		if gap := offset(end, c.spec.Location) - before; gap > 0 {
			wall := end.Add(before).UTC() // the wall clock without the change
			naive := *c.spec
			naive.Location = time.UTC
			if run := naive.Next(wall.Add(-time.Second)); !run.IsZero() &&
				run.Before(wall.Add(gap)) {
				return end, true
			}
		}
		t = end
	}
	return time.Time{}, false
}

func offset(t time.Time, zone *time.Location) time.Duration {
	_, seconds := t.In(zone).Zone()
	return time.Duration(seconds) * time.Second
}
