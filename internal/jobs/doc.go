// Package jobs is the queue side of jobs: it stores captured requests in Redis, and its workers
// send them to the backend.
//
// # Keys in Redis
//
// asynq's task says that there is work: its id is the job's id, its type the route's name, and its
// payload only the time. Everything else is in the job's record, a hash of our own
// (cachekeys.Names.Job): the status, the captured request until the job is final, and the backend's
// response after that. The request is not in the task's payload for two reasons. asynq copies the
// payloads of running tasks to asynq:workers:…, and the script that makes the job final erases the
// request from the record in the same step. Request and response are sealed where keys are
// configured, see Sealer.
//
// # One execution
//
// A submission is one script. It takes the job's places, lets the Idempotency-Key lead to the job,
// adds the task by asynq's own script, and creates the record: all of it, or nothing. The record
// is unconfirmed, and no worker runs it. When the submission has the answer, its client gets the
// 202, and the job is confirmed, which is repeated until it is certain. A submission without an
// answer withdraws the job. That works only as long as the job is unconfirmed, and leaves a record
// that says "withdrawn". A script that arrives later than that does nothing.
//
//	the script       the request
//	made the job     becomes a job
//	did not          goes to the backend at once
//	not known        goes to the backend at once, with the job's id as Idempotency-Key; the job is
//	                 withdrawn
//
// A job whose submission died before it was confirmed runs when workers have looked at it for a
// minute. A submission that lives has confirmed or withdrawn it by then, unless Redis could be
// reached from other sidecars for that minute and not from its own. Then, and where a process ends
// that has a job to withdraw and no Redis, a request is sent twice for this, with one key.
//
// In Cluster a script has keys of one slot only, and a job begins in two steps: the task is
// enqueued, then the record is created if there is none. A worker runs no task without a record. To
// give a job up is to create a record that says "withdrawn". Only one of the two records can be
// created, so "it runs" and "it does not run" exclude each other, in any order in which a frozen
// Redis executes the commands later. The outcomes of the two steps, and the consequence for the
// request:
//
//	the task      the record     the request
//	is enqueued   is created     becomes a job
//	is not        -              goes to the backend at once
//	not known     -              goes to the backend at once, with the job's id as
//	                             Idempotency-Key; the job is withdrawn
//	is enqueued   is not         the same
//	is enqueued   not known      becomes a job: the creation is repeated until it is certain
//
// A worker that finds no record gives the task back, and withdraws it after a day.
//
// # Whose it is
//
// Tasks and records carry MACs under KEY_SECRET (proof.go). A record's MAC covers the accepted job:
// the owner, the route, the request; that of a final record also its status, error and result. A
// task or record without one belongs to another application, or was forged: it is given back, and
// neither run, shown nor deleted. A job whose route the policies of this sidecar do not have waits
// for a sidecar that knows it, until its retention is over.
//
// # Attempts
//
// An attempt is counted in the record before its request is sent. Only the worker that counted the
// last attempt may record its outcome; a worker that lost its task to another writes nothing. A job
// may therefore run again when a sidecar dies in the middle of it, but only one outcome is ever
// seen. asynq's own counters decide nothing: its MaxRetry is never reached, and a job that fails
// for good is a task that succeeded.
//
// The script that begins an attempt says which one. One that reaches Redis when its worker has
// given up, and begun anew, changes nothing. A task goes only when its record is final. One that
// somebody archives goes back to its queue (archive.go).
//
// A process holds a job (held.go) until the outcome is recorded. Its attempts do not end with
// asynq's lease: while Redis is away they go on, and their outcome is recorded afterwards. It never
// begins a job that it holds, though asynq may give it the task again. recover.go renews the leases
// of the held jobs, and gives jobs without a holder to others.
//
// # An attempt that the submission makes
//
// Where the client waits for the backend's own answer, the submission makes the first attempt
// itself (local.go). The task is enqueued for a time when the attempt is over, and the record is
// created as one whose first attempt has begun. If the process dies, the
// task runs then. Else the end of the attempt takes it back:
//
//	the client            the attempt           the job
//	has the answer        came out either way   is withdrawn; with an Idempotency-Key it is final
//	was promised a job    came out for good     is final, and the task is deleted
//	was promised a job    is to be repeated     the task is due at the next attempt
//	waits                 was not sent, or cut  is promised, and the same
//	                      off
package jobs
