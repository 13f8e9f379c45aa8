package jobs

import (
	"context"
	"time"

	"sidecar/internal/tracing"
)

// BeginSpan begins the span of a submission within that of ctx, and makes it the parent of the
// job's attempts: its context travels in the fields of the job's request. Where ctx has no span,
// they stay as they are. The span has to be ended with EndSpan.
func (s Submission) BeginSpan(ctx context.Context) (context.Context, *tracing.Span) {
	around := tracing.From(ctx)
	span := around.Child(tracing.Producer, "send "+s.Job.Queue, time.Now())
	if span == nil {
		around.Inject(s.Request.Fields)
		return ctx, nil
	}
	span.Inject(s.Request.Fields)
	span.Set(messaging("send", s.Job.Queue, s.Route)...)
	return tracing.With(ctx, span), span
}

// EndSpan ends the span of the submission.
func (s Submission) EndSpan(span *tracing.Span, r Receipt) {
	if r.ID != "" {
		span.Set(messageID(r.ID, s.owner()))
	}
	span.Set(tracing.String("sidecar.reason", string(r.Why)))
	if r.Outcome != Accepted {
		span.Fail("not-queued")
	}
	span.End(time.Now())
}

// beginSpan begins the span of an attempt. Its parent is that of the submission: the request has
// its context, or that of the client where the sidecar that took the job makes no traces.
func (j *Jobs) beginSpan(r Record, req *Request, n int, now time.Time) *tracing.Span {
	span := j.Tracer.Receive(tracing.Consumer, req.Fields, now)
	if span.Recorded() {
		span.Name("process " + r.Queue)
		span.Set(messaging("process", r.Queue, r.Type)...)
		span.Set(messageID(r.ID, r.Owner), tracing.Int("sidecar.job.attempt", int64(n)))
	}
	return span
}

func endSpan(span *tracing.Span, a replayed) {
	result := a.result()
	span.Set(tracing.String("sidecar.result", result))
	if a.response == nil || a.response.Status >= 400 {
		span.Fail(result)
	}
	span.End(time.Now())
}

// messaging are the attributes of the conventions for messaging.
func messaging(operation, queue, route string) []tracing.Attr {
	return []tracing.Attr{
		tracing.String("messaging.system", "asynq"),
		tracing.String("messaging.operation.name", operation),
		tracing.String("messaging.operation.type", operation),
		tracing.String("messaging.destination.name", queue),
		tracing.String("sidecar.route", route),
	}
}

// messageID is the id of a job; none where who has it has the job.
func messageID(id, owner string) tracing.Attr {
	if owner == "" {
		return tracing.Attr{}
	}
	return tracing.String("messaging.message.id", id)
}
