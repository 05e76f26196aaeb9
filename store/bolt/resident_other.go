//go:build !linux

package bolt

import "go.etcd.io/bbolt"

// releasePages does nothing on other systems.
func releasePages(*bbolt.DB) error { return nil }
