package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"sidecar/cachekeys"
	"sidecar/internal/httpfield"
	"sidecar/policy"
)

// A replayed attempt is an attempt as far as the connection to the backend tells.
type replayed struct {
	attempt
	unsent   bool // no connection was made: no attempt
	cutOff   bool // this process ends: whether the backend did the work is not known
	canceled bool // by a client: whether the backend did the work is not known
}

// result is a label of metrics.
func (a replayed) result() string {
	switch {
	case a.unsent:
		return "unsent"
	case a.cutOff:
		return "cut-off"
	case a.canceled:
		return "canceled"
	case a.response == nil:
		return "failed"
	}
	return strconv.Itoa(a.response.Status/100) + "xx"
}

// replay sends the request as attempt n and reads the whole answer.
func (j *Jobs) replay(ctx context.Context, r Record, plan *policy.Plan,
	req *Request, n int) replayed {
	ctx, cancel := withRunningTime(ctx, r.timeout)
	defer cancel()
	in := req.incoming(ctx)
	identify(in.Header, plan.Job.IdempotencyField, r.ID)
	in.Header["X-Job-Id"] = []string{r.ID}
	in.Header["X-Job-Attempt"] = []string{strconv.Itoa(n)}
	resp, err := j.Backend.Replay(ctx, in)
	if err != nil {
		return j.fault(ctx, r, err, "the connection to the backend failed")
	}
	defer resp.Body.Close()
	most := plan.Job.MaxResult
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	if err != nil {
		return j.fault(ctx, r, err, "the backend's answer broke off")
	}
	fields := resp.Header.Clone()
	httpfield.HopOf(httpfield.Header(resp.Header)).Strip(fields)
	if int64(len(body)) > most {
		fault := fmt.Sprintf("the backend answered %d with more than %d bytes, which are not kept",
			resp.StatusCode, most)
		return replayed{attempt: attempt{fault: fault, tooLarge: true}}
	}
	return replayed{
		attempt: attempt{response: &Response{Status: resp.StatusCode, Fields: fields, Body: body}},
	}
}

// identify gives the request a key that is the same in each attempt: the client's own, in the field
// that the route names, or the job's id.
func identify(fields http.Header, name, id string) {
	key := fields[name]
	if len(key) == 0 {
		key = []string{id}
		fields[name] = key
	}
	if len(fields["Idempotency-Key"]) == 0 {
		fields["Idempotency-Key"] = key
	}
}

// fault says why there is no response. The error itself may name addresses, and is for the log.
func (j *Jobs) fault(ctx context.Context, r Record, err error, what string) replayed {
	j.Log.Info("an attempt of a job failed", "job_type", r.Type, "error", err)
	switch {
	case j.Unsent(err):
		return replayed{unsent: true}
	case errors.Is(context.Cause(ctx), errCanceled):
		return replayed{canceled: true}
	case errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return replayed{
			attempt: attempt{fault: fmt.Sprintf("the backend did not answer within %v", r.timeout)},
		}
	case ctx.Err() != nil:
		return replayed{cutOff: true}
	}
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
		what = "the backend did not answer in time" // BACKEND_TIMEOUT, less than the job's own
	}
	return replayed{attempt: attempt{fault: what}}
}

// tagsOf are the tags of the entries that the attempt may have changed.
func tagsOf(w *policy.WritePlan, req *Request, a replayed, inspect int64) []cachekeys.Tag {
	if w == nil {
		return nil
	}
	sent := bodyOf(req.Fields, req.Body, inspect)
	r := a.response
	if r == nil {
		return w.Unknown(sent)
	}
	return w.Tags(sent, r.Status, httpfield.Header(r.Fields), bodyOf(r.Fields, r.Body, inspect))
}

// bodyOf is content that templates may look into; nil if it is too long for that.
func bodyOf(h http.Header, content []byte, inspect int64) *policy.Body {
	if int64(len(content)) > inspect {
		return nil
	}
	return policy.NewBody(content, httpfield.Header(h))
}
