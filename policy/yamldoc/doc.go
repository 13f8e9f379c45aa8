// Package yamldoc reads one YAML document into typed values and remembers where each value is
// written, so that every fault can be shown at its line and column.
//
// A Reader reads; it collects faults instead of stopping at the first one. The syntax tree does not
// leave the package: callers hold a Node while they read and a Place afterwards. The package does
// not know the meaning of the document.
package yamldoc
