package httpcache

import (
	"time"

	"sidecar/internal/httpfield"
)

// initialAge is corrected_initial_age (§4.2.3): the greater of the age by Date and the clock, and
// of Age with the time of the request. A clock that went back counts as one that stood still. Date
// has whole seconds, so the time that it is compared with has too.
func initialAge(resp Response) time.Duration {
	apparent := saturate(resp.ResponseTime.Truncate(time.Second).Sub(dateOf(resp)))
	stated, _ := httpfield.ParseAge(resp.Fields.Values("Age"))
	delay := saturate(resp.ResponseTime.Sub(resp.RequestTime))
	return saturate(max(apparent, stated+delay))
}

// age is current_age (§4.2.3) at now.
func (s Stored) age(now time.Time) time.Duration {
	return saturate(s.InitialAge + saturate(now.Sub(s.ResponseTime)))
}
