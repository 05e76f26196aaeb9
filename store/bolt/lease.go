package bolt

import (
	"container/heap"
	"time"

	"github.com/runplane/runplane/store"
)

// lease is a granted lease.
type lease struct {
	store.Lease
	index int  // in leases.order; -1: removed
	gone  bool // its key was deleted, and has no wake since: it is not in the ledger, which would keep it
}

func (l *lease) liveAt(now time.Time) bool { return l.Until.After(now) }
func (l *lease) before(other *lease) bool  { return l.Until.Before(other.Until) }
func (l *lease) setIndex(i int)            { l.index = i }

// leases is every lease of the store: by key, and as a heap by when it expires. Every lease is in the ledger too, until it is released or
// its key is deleted.
type leases struct {
	byKey  map[store.Key]*lease
	order  heapOf[*lease]
	left   map[digest]leftLease // the last lease of keys that are not leased, if it was not released
	ledger ledger
}

// leftLease is a lease that ended without a release.
type leftLease struct {
	owner digest
	token int64 // 0: another process granted it
}

// grant adds a lease of a key that has none.
func (ls *leases) grant(l store.Lease) *lease {
	if ls.remembers() {
		key, owner := keyDigest(l.Key), ownerDigest(l.Owner)
		if last, ok := ls.left[key]; ok {
			l.Died = last.owner != owner
			delete(ls.left, key)
		}
		ls.ledger.write(key, owner)
	}
	granted := &lease{Lease: l}
	ls.byKey[l.Key] = granted
	heap.Push(&ls.order, granted)
	return granted
}

// find returns the lease if it is still the current one of its key and has not expired; else nil.
func (ls *leases) find(l store.Lease, now time.Time) *lease {
	h := ls.byKey[l.Key]
	if h == nil || h.Token != l.Token || !h.liveAt(now) {
		return nil
	}
	return h
}

func (ls *leases) extend(l *lease, until time.Time) {
	l.Until = until
	heap.Fix(&ls.order, l.index)
}

// remove removes the lease; false: it was removed before.
func (ls *leases) remove(l *lease) bool {
	if l.index < 0 {
		return false
	}
	heap.Remove(&ls.order, l.index)
	delete(ls.byKey, l.Key)
	return true
}

// expire removes a lease that has expired.
func (ls *leases) expire(l *lease) {
	ls.remove(l)
	if !l.gone { // else it is not leased again
		ls.left[keyDigest(l.Key)] = leftLease{owner: ownerDigest(l.Owner), token: l.Token}
	}
}

// released follows the release of a lease that is the last one of its key; died: the next lease is to know what this one knew, also in
// another process, if the key is there.
func (ls *leases) released(key store.Key, died, there bool) {
	if !died && !ls.remembers() {
		return
	}
	d := keyDigest(key)
	if died && there {
		ls.left[d] = leftLease{}
		ls.ledger.write(d, digest{})
		return
	}
	delete(ls.left, d)
	ls.ledger.clear(d)
}

// remembers reports whether a lease of any key was not released, or is to be noted for another process.
func (ls *leases) remembers() bool { return len(ls.left) > 0 || ls.ledger.file != nil }

// releasedLate reports whether the lease has expired and its key was not leased again.
func (ls *leases) releasedLate(l *store.Lease, now time.Time) bool {
	if h := ls.byKey[l.Key]; h != nil {
		return h.Token == l.Token && !h.liveAt(now)
	}
	if len(ls.left) == 0 {
		return false
	}
	last := ls.left[keyDigest(l.Key)]
	return last.token != 0 && last.token == l.Token
}

// forget follows the deletion of a key.
func (ls *leases) forget(key store.Key, now time.Time) {
	h := ls.byKey[key]
	if h != nil && h.liveAt(now) {
		h.gone = true
		ls.ledger.clear(keyDigest(key))
		return
	}
	if h != nil {
		ls.remove(h)
	}
	if h != nil || len(ls.left) > 0 {
		ls.released(key, false, false)
	}
}

// revive follows a new wake of a leased key.
func (ls *leases) revive(l *lease) {
	if l.gone {
		l.gone = false
		ls.ledger.write(keyDigest(l.Key), ownerDigest(l.Owner))
	}
}

// first is the lease that expires next; nil: there is none.
func (ls *leases) first() *lease {
	if len(ls.order) == 0 {
		return nil
	}
	return ls.order[0]
}
