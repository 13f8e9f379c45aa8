package httpcache

import (
	"time"

	"sidecar/internal/reason"
)

// A Decision is all that follows from a demand, a stored response and a time: whether the response
// may be served, and which part of it.
type Decision struct {
	Reuse
	// Fits: the response can answer the request as far as its bytes and its cookies go, however old
	// it is. One that does not is neither served nor validated for this request.
	Fits  bool
	Reply Reply
}

// A Reuse says whether a stored response may be served (§4).
type Reuse struct {
	Serve bool
	Why   reason.Reason // why not, or why Refresh; "" if it is fresh
	Age   time.Duration // current_age (§4.2.3): the Age field, in whole seconds rounded down
	TTL   time.Duration // the rest of its lifetime; negative if it is stale

	// Refresh: it is stale, is served all the same, and has to be validated behind the answer
	// (RFC 5861 §3).
	Refresh bool
	// IfError and IfUnreachable: it may be served stale where the backend answers 5xx
	// (RFC 5861 §4), or does not answer (§4.2.4).
	IfError, IfUnreachable bool
}

// Evaluate decides how the stored response, which the request's key and Vary selected, may be used
// at now. A HEAD is served from a stored GET (RFC 9110 §9.3.2). Store's refusals are not judged
// again. max-stale in a request allows no more than the policy and the response do (§5.2.1.2), and
// may allow less.
func Evaluate(r Rules, d *Demand, s Stored, now time.Time) Decision {
	decision := Decision{Reuse: reuse(r, d, s, now)}
	decision.Reply, decision.Fits = d.Reply(s)
	if !decision.Fits {
		decision.refuse(reason.Miss)
	}
	return decision
}

// refuse makes a response that could be served one that is not. Its own reason, if it has one,
// stays.
func (u *Reuse) refuse(why reason.Reason) {
	if u.Serve {
		u.Why = why
	}
	u.Serve, u.Refresh, u.IfError, u.IfUnreachable = false, false, false, false
}

func reuse(r Rules, d *Demand, s Stored, now time.Time) Reuse {
	age := s.age(now)
	use := Reuse{Age: age, TTL: s.Lifetime - age}
	ended := !s.Until.IsZero() && !now.Before(s.Until)
	if ended {
		use.TTL = min(use.TTL, s.Until.Sub(now))
	}
	use.Why = d.objectionTo(use)
	if use.Why == reason.Stale && !ended {
		stale(&use, r, &d.directives, s.Fields)
	}
	use.Serve = use.Why == "" || use.Refresh
	return use
}

// objectionTo is the first rule that forbids to serve a response of this age; "" if there is none.
func (d *Demand) objectionTo(use Reuse) reason.Reason {
	switch cc := &d.directives; {
	case d.objection != "":
		return d.objection
	case use.TTL <= 0:
		return reason.Stale // §4.2
	case cc.MaxAge.Set && use.Age > cc.MaxAge.Value:
		return reason.RequestMaxAge // §5.2.1.1
	case cc.MinFresh.Set && use.TTL < cc.MinFresh.Value:
		return reason.RequestMinFresh // §5.2.1.3
	}
	return ""
}
