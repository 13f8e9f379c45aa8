//go:build !unix

package wire

import "net"

// isGone cannot be known here: the answer's first bytes tell.
func isGone(net.Conn) bool { return false }

// hasLeft reports whether the other side has ended its direction, or the connection, as far as that
// can be known.
func hasLeft(net.Conn) bool { return false }
