package policy

import (
	"strings"
	"testing"
	"time"
)

func TestCronGoesByTheClockOfItsZone(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what, cron string
		after      string // local, then UTC offset
		want       []string
	}{
		{"a fixed time", "30 4 * * *", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T04:30:00+02:00", "2026-03-30T04:30:00+02:00"}},
		{"one that the clock skips runs when it is put forward", "30 2 * * *",
			"2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"one that the clock repeats runs once", "30 2 * * *", "2026-10-24T12:00:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"every half hour goes by the time that passes", "*/30 * * * *",
			"2026-10-25T02:10:00+02:00",
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:00:00+01:00",
				"2026-10-25T02:30:00+01:00"}},
		{"also when the clock is put forward", "*/30 * * * *", "2026-03-29T01:40:00+01:00",
			[]string{"2026-03-29T03:00:00+02:00", "2026-03-29T03:30:00+02:00"}},
		{"days of the week", "0 9 * * mon-fri", "2026-07-03T10:00:00+02:00",
			[]string{"2026-07-06T09:00:00+02:00"}},
		{"a leap day", "0 0 29 2 *", "2026-07-03T10:00:00+02:00",
			[]string{"2028-02-29T00:00:00+01:00"}},
		{"@every", "@every 90s", "2026-03-29T01:59:00+01:00",
			[]string{"2026-03-29T03:00:30+02:00"}},
	} {
		spec, err := parseCron(c.cron, berlin)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		at, _ := time.Parse(time.RFC3339, c.after)
		for _, want := range c.want {
			if at = spec.Next(at); at.In(berlin).Format(time.RFC3339) != want {
				t.Errorf("%s: %s, want %s", c.what, at.In(berlin).Format(time.RFC3339), want)
			}
		}
	}
}

const scheduled = `version: 1
routes: [{name: shut, match: "POST /internal/{rest...}", deny: true}]
schedules:
  - name: cleanup
    cron: "0 3 * * *"
    timezone: Europe/Berlin
    catch_up: true
    queue: low
    request:
      method: POST
      path: /internal/cleanup?deep=1
      headers: {Authorization: "Bearer {env.JWT_SECRET}"}
      body: {type: expired, older_than: "{now-168h}", n: 5, list: ["{now}"]}
`

func TestAScheduleIsFilledForEachTick(t *testing.T) {
	table, found, err := Load([]byte(scheduled), testOptions())
	if err != nil || len(found.Smells()) > 0 {
		t.Fatal(err, found)
	}
	s := table.Schedules()[0]
	tick := time.Date(2026, 7, 8, 3, 0, 0, 0, time.UTC)
	if got := s.Fields(tick).Get("Authorization"); got != "Bearer "+testSecret {
		t.Errorf("Authorization: %s", got)
	}
	want := `{"list":["2026-07-08T03:00:00Z"],"n":5,"older_than":"2026-07-01T03:00:00Z","type":"expired"}`
	if got := string(s.Body(tick)); got != want ||
		s.Fields(tick).Get("Content-Type") != "application/json" {
		t.Errorf("the body is %s", got)
	}
	if !s.CatchUp || s.Job.Queue != "low" || s.Method != "POST" ||
		s.Target != "/internal/cleanup?deep=1" {
		t.Errorf("%+v", s)
	}
}

func TestAScheduleThatClientsCouldRunSmells(t *testing.T) {
	open := strings.Replace(scheduled, "/internal/cleanup", "/cleanup", 1)
	open = strings.Replace(open, `headers: {Authorization: "Bearer {env.JWT_SECRET}"}`,
		"headers: {X-A: b}", 1)
	if _, found, err := Load([]byte(open), testOptions()); err != nil || len(found.Smells()) != 1 {
		t.Error(err, found)
	}
}
