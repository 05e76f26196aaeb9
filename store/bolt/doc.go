// Package bolt is the embedded store.Store: one bbolt file, one process, nothing to install. It owns the layout of the file
// and the goroutines that write it, serve claims and remove expired records; Close ends them. It is opened by package main
// and used through store.Store. It imports package store alone and calls no hooks.
//
// # Commits
//
// Callers encode their batch themselves and queue it. One goroutine, the committer, takes everything that is queued and
// writes it in one bbolt transaction with one sync. The next group is queued while the disk works, so throughput grows with
// the number of callers, and a single caller waits only for the disk. Each batch is checked against the state that the
// earlier batches of its group left, before any of it is written, so a conflict fails that batch alone.
//
//	Commit ──encode──▶ queue ──▶ committer: begin · (check, write) per batch · sync ──▶ leases, wakes, watchers ──▶ answer
//
// # Buckets
//
// No key is ambiguous: a kind contains no zero byte, so a zero byte ends it, and a part that is not the last is preceded by
// its length.
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
// Wakes are on disk. Memory holds those that are due and the time of the next one, so wakes that are not due cost no memory.
// Leases are in memory only: the lock on the file proves that the process that granted earlier ones has ended, so a store
// opens without leases, and every due wake can be claimed at once.
//
// Which priority and which fairness key is served next is in memory only too, and starts over after a restart.
//
// # Memory
//
// bbolt maps the file into memory, and every page that was read counts as resident memory of the process. After opening,
// which reads the whole file, and with each sweep all pages are released; those in use are mapped again from the kernel's
// page cache (resident_linux.go).
package bolt
