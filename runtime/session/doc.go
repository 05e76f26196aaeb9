// Package session is the contract Session: sessions of callers, how they live, are seen, expire and end. It owns the records
// session/<id>, whose wake is when the session expires unless it is seen before. Every room above may use and list sessions. When one
// has ended it calls the hook [Belongings] of each room that keeps what belongs to sessions.
//
// Every call that names a session counts as seeing it; a process commits that every few seconds at most (touch.go). The end of a
// session is committed by whichever replica claims its wake, which then has the rooms end what belongs to it (end.go).
package session
