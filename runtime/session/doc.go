// Package session is the contract Session: it opens, updates, expires and closes sessions of callers. It owns the records session/<id>,
// whose wake is when the session expires unless it is used before. The tools call it, and every room above may use and list sessions. When
// a session has ended it calls the hook [Belongings] of each room that keeps what belongs to sessions.
//
// Every call that names a session renews its expiry; a process commits that every few seconds at most (touch.go). The end of a
// session is committed by the replica that claims its wake, which then has the rooms end what belongs to it (end.go).
package session
