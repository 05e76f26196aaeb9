package engine

// submit hands a request to the owner; false: it has let go.
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

// markStale tells the owner that somebody else changed the execution.
func (o *owner) markStale() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stale = true
	o.signal.Set()
}

// take empties the inbox.
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

// answer ends the wait of those who asked; a nil err leaves each request its own.
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

// putBack puts requests back into the inbox, for whoever looks after it when the owner is gone.
func (o *owner) putBack(requests []*request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inbox = append(requests, o.inbox...)
}
