// Package pattern reads patterns in the syntax of net/http.ServeMux and finds the most specific one
// that matches a method and a path. Forms lists the ways in which a server may read a path.
//
// The package is pure and knows nothing of the use of a match.
package pattern
