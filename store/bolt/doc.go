// Package bolt is the embedded store.Store: one bbolt file, one process, nothing to install. It owns the layout of the file
// and the goroutines that write it, serve claims and remove expired records; Close ends them. It is opened by package main
// and used through store.Store. It imports package store and its own package pages, and calls no hooks.
//
// # Commits
//
// Callers encode their batch themselves and queue it. One goroutine, the committer, takes everything that is queued and
// writes it in one bbolt transaction with one sync. The next group is queued while the disk works, so throughput grows with
// the number of callers, and a single caller waits only for the disk. Each batch is checked against the state that the
// earlier batches of its group left, before any of it is written, so a conflict fails that batch alone. A caller with a large batch waits
// before it encodes it until the large ones that are encoded are few enough (committer.go).
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
//	         "clock"                    → the time that the store has seen, see clock.go
//	         "unsealed"                 → 1: the store was of format 1, and may have entries without a seal
//
// All but those of about are sealed with checksums of key and value (seal.go), which are checked whenever an entry is read. What is not as
// it was written is a *Fault and never a value.
//
// # Damage
//
// bbolt trusts its file: it panics on a damaged page, in part on goroutines of its own, and the system faults where a part of the map is
// not there any more. So before bbolt opens a file its pages and keys are read without it (package pages, survey.go); with every read
// and commit two words of the map show whether the file is still the one that was opened (file.go); with every commit its name and length are
// looked at too; and a panic or fault becomes an error (read.go). After such a fault the store is broken: every call answers with it, so
// that nothing is acknowledged that is not kept. An entry that does not match its checksum is a fault of that call alone. What remains is
// a disk that refuses a commit and at the same moment cannot read a page: bbolt then reads all pages on a goroutine of its own.
//
// # Backups
//
// The process that serves a store writes a read transaction to a new file in the store's folder when a file there asks for it (backup.go).
//
// # Wakes and leases
//
// Wakes are on disk. Memory holds those that are due and the time of the next one, so wakes that are not due cost no memory.
// Leases are in memory only: the lock on the file proves that the process that granted earlier ones has ended, so a store
// opens without leases, and every due wake can be claimed at once. Which of them were not released is in a small file of its own, which
// is written with each lease and never synced (ledger.go).
//
// Which priority and which fairness key is served next is in memory only too, and starts over after a restart.
//
// # Memory
//
// bbolt maps the file into memory, and every page that was read counts as resident memory of the process. After opening,
// which reads the whole file, and with each sweep all pages are released; those in use are mapped again from the kernel's
// page cache (resident_linux.go).
package bolt
