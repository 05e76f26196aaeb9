//go:build !linux

package bolt

// releasePages does nothing on other systems.
func (s *Store) releasePages() error { return nil }
