package bolt

import (
	"container/heap"
	"time"

	"github.com/runplane/runplane/store"
)

// lease is a granted lease.
type lease struct {
	store.Lease
	index int // in leases.order; -1: removed
}

func (l *lease) liveAt(now time.Time) bool { return l.Until.After(now) }
func (l *lease) before(other *lease) bool  { return l.Until.Before(other.Until) }
func (l *lease) setIndex(i int)            { l.index = i }

// leases is every lease of the store: by key, and as a heap by when it expires.
type leases struct {
	byKey map[store.Key]*lease
	order heapOf[*lease]
}

func (ls *leases) grant(l store.Lease) *lease {
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

// first is the lease that expires next; nil: there is none.
func (ls *leases) first() *lease {
	if len(ls.order) == 0 {
		return nil
	}
	return ls.order[0]
}
