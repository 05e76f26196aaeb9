// Package records is what every room of the runtime does with the store: it retries on conflict, reads page by page, signs the cursors
// of lists, handles keys that are due, shares rounds of slow work between replicas, counts the records of each principal, and turns
// errors of the store into errors for callers. It owns no records of a feature, only the key of cursors (secret/cursor), the progress
// of the rounds (reconcile/<work>) and the trial writes of health checks (health/<…>). Every room may call it; it calls no hooks but
// the functions that its callers pass.
package records
