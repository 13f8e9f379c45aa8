// Package lease is a lock in Redis that runs out. One of many processes takes it, and renews it
// for as long as it works; it gives it back, or hands it over to another user in the same process.
// When a holder dies, the lease runs out after its term, and another process can take it.
//
// # What a holder may rely on
//
// Redis gives a key's lease to one taker at a time, and renews and ends it for its holder alone. A
// process that is frozen for longer than the term still believes that it holds the lease until it
// looks at its clock again. Where two workers at once would do harm, the resource itself has to
// refuse the older one, by the fencing number. Each taker gets a greater number than all before it.
// Where two workers at once only cost time, no number is needed.
//
// # States
//
//	None ── Take ──► Held       this process has it until it runs out, and renews it
//	     └─ Take ──► Elsewhere  another holder has it
//	Elsewhere ── HandTo ──► Held   a user in this process has passed it on
//	Held ── Release, HandTo, loss ──► None
//
// A lease that a process cannot renew in time counts as lost: State is None once the term has
// passed since the last renewal that Redis took was sent. That is earlier than Redis lets others
// have it, if the clocks of both run at the same speed.
//
// # Notes
//
// A holder may leave a note about its work with the lease. Another taker that finds the lease
// Elsewhere learns whether the holder's note is the same as its own. Redis has its digest only.
package lease
