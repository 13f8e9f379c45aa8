// Package jobs is the queue side of jobs: it takes captured requests into Redis, and its workers
// send them to the backend.
//
// # Where things stand in Redis
//
// asynq's task says that there is something to do: its id is the job's id, its type the route's
// name, and its payload nothing but the time. All else is in the job's record, a hash of our own
// (cachekeys.Names.Job): what status tells, the captured request until the job is final, and the
// backend's response after that. A request is not in the task's payload, because asynq copies
// payloads elsewhere (its heartbeat writes those of running tasks under asynq:workers:…), and
// because in the record the request is erased by the very script that makes the job final. Request
// and response are sealed where keys are configured, see Sealer.
//
// # One execution
//
// A job begins in two steps: the task is enqueued, then the record is created if there is none. A
// worker runs no task without a record, and whoever gives a job up creates a record too, which says
// that it is withdrawn. Since one of the two is created and never both, "it runs" and "it does not"
// exclude each other, whatever a frozen Redis executes later and in whatever order. What the
// outcome of each step means:
//
//	the task      the record     what becomes of the request
//	is enqueued   is created     the job runs
//	is not        -              to the backend at once
//	not known     -              to the backend at once, with the job's id as Idempotency-Key; the job is withdrawn
//	is enqueued   is not         the same
//	is enqueued   not known      the job runs: the record is created again until that is certain (once created, it stays)
//
// A worker that finds no record gives the task back, and withdraws it when a day is over.
//
// # Attempts
//
// An attempt is counted in the record before its request is sent, and only the worker that counted
// the last one may write down how it came out: one whose lease was lost to another writes nothing.
// A job may therefore run again when a sidecar dies in the middle of it, but only one outcome is
// ever seen. asynq's own counters decide nothing: its MaxRetry is out of reach, and a job that
// fails for good is a task that succeeded.
package jobs
