package jobs

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
)

// MACs tell the writes of a sidecar with the same KEY_SECRET from those of anybody else with access
// to the job store. A task or a record without one is never run, shown or deleted.

// mac is a MAC over parts, for one purpose under this prefix. ok is false while the key is not
// known.
func (j *Jobs) mac(purpose string, parts ...string) (mac string, ok bool) {
	secret := j.Secret()
	if secret == nil {
		return "", false
	}
	h := hmac.New(sha256.New, secret)
	addParts(h, "sidecar job", purpose, j.Prefix)
	addParts(h, parts...)
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16]), true
}

// verify compares a MAC in constant time.
func (j *Jobs) verify(mac, purpose string, parts ...string) bool {
	want, ok := j.mac(purpose, parts...)
	return ok && hmac.Equal([]byte(mac), []byte(want))
}

// sumOf is a digest of a stored value.
func sumOf(value []byte) string {
	sum := sha256.Sum256(value)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// terms are all fields of a record that do not change once the job is accepted.
func (r Record) terms() []string {
	return []string{
		r.ID, r.Type, r.Queue, r.Owner, strconv.Itoa(r.MaxRetry),
		strconv.FormatInt(r.Queued.UnixMilli(), 10),
		r.retention.String(), r.timeout.String(), r.hold, r.requestSum,
	}
}

// outcome are the fields of a final record that a client sees.
func (r Record) outcome() []string {
	return []string{
		r.ID, r.Owner, string(r.Status), r.LastError, strconv.FormatBool(r.HasResult), r.resultSum,
	}
}

// isOurs reports whether the record was accepted as it stands and, if it is final, ended so.
func (j *Jobs) isOurs(r Record) bool {
	if r.Status == withdrawn { // made to stop a task: it holds nothing, and nobody is shown it
		return true
	}
	return j.verify(r.accepted, "accepted", r.terms()...) &&
		(!r.Status.Final() || j.verify(r.ended, "ended", r.outcome()...))
}

// A stub is the payload of asynq's task. Its MAC tells our tasks from those of another application.
type stub struct {
	Queued time.Time `json:"queued_at"`
	MAC    string    `json:"mac"`
}

func (j *Jobs) newStub(id string, queued time.Time) []byte {
	s := stub{Queued: queued.UTC().Truncate(time.Millisecond)}
	s.MAC, _ = j.mac("task", id, s.Queued.Format(time.RFC3339Nano))
	payload, _ := json.Marshal(s) // a time always marshals
	return payload
}

// parseStub reads the payload of the task id. ok is false if no sidecar with our secret made it.
func (j *Jobs) parseStub(id string, payload []byte) (s stub, ok bool) {
	if json.Unmarshal(payload, &s) != nil {
		return stub{}, false
	}
	return s, j.verify(s.MAC, "task", id, s.Queued.Format(time.RFC3339Nano))
}
