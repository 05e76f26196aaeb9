// Package bolt is the embedded store: one bbolt file, one process, nothing to install.
//
// # Commits
//
// Callers encode their batch themselves and queue it; one goroutine, the committer, takes everything that is queued and
// writes it in one bbolt transaction with one sync. While the disk works, the next group gathers, so throughput grows
// with the number of callers and a lone caller waits for nothing but the disk. Each batch is checked against the state
// that the earlier ones of its group left before any of it is written, so that a conflict fails that batch alone.
//
//	Commit ──encode──▶ queue ──▶ committer: begin · (check, write) per batch · sync ──▶ leases, wakes, watches ──▶ answer
//
// # Buckets
//
// A key never aliases another: a kind holds no zero byte, so the zero behind it ends it, and whatever is not last is
// preceded by its length.
//
//	records  kind 0 ID                  → version, expiry, terms, value
//	terms    kind 0 len(term) term ID   → nothing
//	logs     kind 0 len(ID) ID seq      → the entries of one append, seq being the last one's
//	wakes    kind 0 ID                  → time, priority, fairness
//	due      kind 0 time ID             → priority, fairness
//	expiries time kind 0 ID             → nothing
//	about    "format"                   → the version of this layout
//
// # Wakes and leases
//
// Wakes live on disk. Memory holds those that are due and the time of the next one, so that sleeping ones cost nothing.
// Leases live in memory alone: the lock on the file proves that the process that granted them is gone, so an opened
// store has none, and every due wake can be claimed at once.
//
// Which priority and which fairness key is next is memory's alone too: after a restart the turns begin anew.
//
// # Memory
//
// The file is read through a map, of which the process counts every page that it ever touched. After opening, which reads
// all of it, and with each sweep all pages are let go; those in use come back from the kernel's cache (resident_linux.go).
package bolt
