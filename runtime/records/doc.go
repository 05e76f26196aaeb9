// Package records is what every room of the runtime does with the store: it retries on conflict, reads page by page, seals the cursors
// of lists, handles keys that are due, shares rounds of slow work between replicas, counts what principals keep, and says what a
// fault of the store means to a caller. It owns no record of a feature, only the key of cursors (secret/cursor), where the rounds
// have got to (reconcile/<work>) and the trial writes of health checks (health/<…>). Every room may call it; it calls no hook but
// the functions that its callers pass.
package records
