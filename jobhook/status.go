package jobhook

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"sidecar/internal/jobs"
	"sidecar/internal/reason"
)

// statusDocument is a job as clients see it.
type statusDocument struct {
	JobID      string      `json:"job_id"`
	Type       string      `json:"type"`
	Queue      string      `json:"queue"`
	Status     jobs.Status `json:"status"`
	Attempts   int         `json:"attempts"`
	MaxRetry   int         `json:"max_retry"`
	QueuedAt   time.Time   `json:"queued_at"`
	StartedAt  *time.Time  `json:"started_at,omitempty"`
	FinishedAt *time.Time  `json:"finished_at,omitempty"`
	LastError  *string     `json:"last_error,omitempty"`
	ResultURL  *string     `json:"result_url,omitempty"`
}

// status answers with how far the job is.
func (h *Hook) status(w http.ResponseWriter, r *http.Request, record jobs.Record) {
	if !record.Status.Final() {
		w.Header().Set("Retry-After", retryAfter)
	}
	h.writeJSON(w, r, http.StatusOK, "", h.documentOf(record))
}

func (h *Hook) documentOf(record jobs.Record) statusDocument {
	doc := statusDocument{
		JobID: record.ID, Type: record.Type, Queue: record.Queue, Status: record.Status,
		Attempts: record.Attempts, MaxRetry: record.MaxRetry, QueuedAt: record.Queued,
	}
	if !record.Started.IsZero() {
		doc.StartedAt = &record.Started
	}
	if !record.Finished.IsZero() {
		doc.FinishedAt = &record.Finished
	}
	if record.LastError != "" {
		doc.LastError = &record.LastError
	}
	if record.HasResult {
		url := h.url(record.ID) + "/result"
		doc.ResultURL = &url
	}
	return doc
}

// document is the record as JSON, on one line.
func (h *Hook) document(record jobs.Record) []byte {
	b, _ := json.Marshal(h.documentOf(record)) // it holds nothing that does not marshal
	return b
}

func (h *Hook) url(id string) string { return h.Path + "/" + id }

// writeJSON answers with v, which holds nothing that does not marshal.
func (h *Hook) writeJSON(w http.ResponseWriter, r *http.Request, status int,
	why reason.Reason, v any) {
	body, _ := json.Marshal(v)
	body = append(body, '\n')
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	h.sign(header, why)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that has gone is nobody's error
	}
}
