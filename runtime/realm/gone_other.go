//go:build !linux

package realm

// groupLeft and markLeft are true where processes cannot be listed: then nothing is proven.
func groupLeft(int) bool { return true }

func markLeft(string) bool { return true }
