package bolt

import (
	"container/heap"
	"time"

	"github.com/runplane/runplane/store"
)

// lease is a granted lease while it lasts.
type lease struct {
	store.Lease
	index int // in leases; -1 outside
}

func (l *lease) liveAt(now time.Time) bool { return l.Until.After(now) }
func (l *lease) before(other *lease) bool  { return l.Until.Before(other.Until) }
func (l *lease) setIndex(i int)            { l.index = i }

// leases is every lease of the store: by key, and as a heap by when it lapses.
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

// held finds the lease if it is still the key's and has not lapsed.
func (ls *leases) held(l store.Lease, now time.Time) *lease {
	h := ls.byKey[l.Key]
	if h == nil || h.Token != l.Token || !h.liveAt(now) {
		return nil
	}
	return h
}

func (ls *leases) prolong(l *lease, until time.Time) {
	l.Until = until
	heap.Fix(&ls.order, l.index)
}

// end forgets the lease; false if it was forgotten before.
func (ls *leases) end(l *lease) bool {
	if l.index < 0 {
		return false
	}
	heap.Remove(&ls.order, l.index)
	delete(ls.byKey, l.Key)
	return true
}

// first is the lease that lapses next.
func (ls *leases) first() *lease {
	if len(ls.order) == 0 {
		return nil
	}
	return ls.order[0]
}
