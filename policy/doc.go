// Package policy says what the policies file means for a request: which route applies, under which
// key an answer is stored, what it depends on, what a write invalidates, what becomes a job.
//
// Load reads a file into a Table, which is immutable; Table.Plan makes the plan of one request
// before anything is sent, and proxy and jobhook carry it out. Source reads the file again when it
// changes. The YAML is read by package yamldoc, patterns and paths are the matter of package
// pattern.
package policy
