package engine

import (
	"slices"
)

// submit adds a request to the owner's inbox. It returns false if the owner has released the execution.
func (o *owner) submit(q *request) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.inbox = append(o.inbox, q)
	o.signal.Set()
	return true
}

// markStale notes that another process, or a guest in this one, has changed the execution.
func (o *owner) markStale() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stale = true
	o.signal.Set()
}

// take empties the inbox, and takes over what else was noted for the owner.
func (o *owner) take() []*request {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stale {
		o.stale = false
		o.x.State, o.x.changed = nil, true
	}
	if o.lease != nil && o.lease != o.x.lease {
		o.x.lease, o.x.claimed, o.claimed = o.lease, true, true
	}
	requests := o.inbox
	o.inbox = nil
	for _, q := range requests {
		if f := q.call; f != nil && o.calls[f.unit] == f {
			delete(o.calls, f.unit)
		}
	}
	return requests
}

// putBack puts requests back at the front of the inbox: release answers those that are left there.
func (o *owner) putBack(requests []*request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inbox = slices.Concat(requests, o.inbox)
}

// answer answers the callers of requests. A nil err leaves each request its own.
func answer(requests []*request, err error) {
	for _, q := range requests {
		if err != nil {
			q.err = err
		}
		if q.done != nil {
			close(q.done)
		}
	}
}
