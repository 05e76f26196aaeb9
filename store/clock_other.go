//go:build !linux

package store

import "time"

// suspended is not known on other systems.
func suspended() (d time.Duration, known bool) { return 0, false }
