package jobhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"sidecar/internal/httpfield"
	"sidecar/policy"
)

// maxWait bounds how long a client may prefer to wait.
const maxWait = time.Minute

// A preference is the part of Prefer about jobs (RFC 7240 §4.1, §4.3). A doubtful one is not there:
// a server may ignore any preference (§2).
type preference struct {
	async bool          // respond-async
	waits bool          // wait
	wait  time.Duration // at most maxWait
}

// preferenceOf reads the field. Of a preference that stands there twice the first counts (§2).
func preferenceOf(values []string) (p preference) {
	members, ok := httpfield.Members(values)
	if !ok {
		return preference{}
	}
	seen := map[string]bool{}
	for _, m := range members {
		name, value := cutPreference(m)
		if seen[name] {
			continue
		}
		seen[name] = true
		switch name {
		case "respond-async":
			p.async = true
		case "wait":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err == nil {
				p.waits, p.wait = true, min(time.Duration(seconds)*time.Second, maxWait)
			}
		}
	}
	return p
}

// cutPreference is the name of a preference, in lower case, and its value, without parameters.
func cutPreference(member string) (name, value string) {
	member, _, _ = strings.Cut(member, ";")
	name, value, _ = strings.Cut(member, "=")
	return strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
}

func (p preference) waitText() string { return "wait=" + strconv.Itoa(int(p.wait/time.Second)) }

// applied tells which preference was followed (§3).
func (p preference) applied(h http.Header, text string) {
	h["Preference-Applied"] = append(h["Preference-Applied"], text)
}

// waitFor says whether the request becomes a job, and how long its client waits before for the
// backend's own answer; 0: not at all. A client may shorten the route's own time, and by
// respond-async say that it does not want to wait.
func waitFor(job *policy.JobPlan, p preference) (within time.Duration, becomes bool) {
	switch job.Mode {
	case policy.ModePrefer:
		return p.wait, p.async
	case policy.ModeAfter:
		switch {
		case p.waits:
			return min(p.wait, job.After), true
		case p.async:
			return 0, true
		}
		return job.After, true
	}
	return 0, true
}

// withoutQueueing takes respond-async and wait out of Prefer: the worker wants the answer, and
// waits for it. All other preferences are the backend's. Where the field cannot be read for
// certain it is dropped: preferences may be ignored.
func withoutQueueing(values []string) []string {
	members, ok := httpfield.Members(values)
	if !ok {
		return nil
	}
	var kept []string
	for _, m := range members {
		switch name, _ := cutPreference(m); name {
		case "respond-async", "wait":
		default:
			kept = append(kept, m)
		}
	}
	return kept
}
