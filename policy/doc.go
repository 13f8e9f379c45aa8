// Package policy gives the policies file its meaning for a request: the route that applies, the key
// and the tags of a stored answer, the tags that a write invalidates, the settings of a job.
//
// Load reads a file into a Table, which is immutable; Table.Plan makes the plan of one request
// before anything is sent, and proxy and jobhook carry it out. Source reads the file again when it
// changes. The YAML is read by package yamldoc, patterns and paths are the matter of package
// pattern.
package policy
