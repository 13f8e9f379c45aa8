//go:build !guardsoff

package main

import "sidecar/internal/coherence"

// guards are the parts of the protocol that are switched off: none.
func guards() coherence.Disabled { return coherence.Disabled{} }
