package engine

// Load is how much this process runs now.
type Load struct {
	InMemory    int   // executions that it owns
	Apart       int   // of those, with a place apart
	Capacity    int   // how many others it may own
	Items       int   // of their for_each nodes
	MaxItems    int   // about how many those may be
	Roomless    int   // executions that wait until there are fewer
	Inputs      int64 // bytes of the inputs of calls in flight
	Uncommitted int   // of InMemory, those whose last commit failed
	CommitError error // why one of those failed; nil: none did
}

// Load returns the present load of this process.
func (r *Engine) Load() Load {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := Load{InMemory: len(r.owned), Capacity: r.limits.MaxExecutions, MaxItems: r.room.limit, Inputs: r.inputs.Load()}
	l.Items, l.Roomless = r.room.load(r.store.Now())
	for _, o := range r.owned {
		if o.x.apart != nil {
			l.Apart++
		}
		if err := o.lastError.Load(); err != nil {
			l.CommitError = *err
			l.Uncommitted++
		}
	}
	return l
}

// InMemory returns the number of executions that this process owns.
func (r *Engine) InMemory() int { return r.Load().InMemory }

// Owns reports whether this process owns the execution.
func (r *Engine) Owns(id string) bool { return r.owner(id) != nil }

// HasCapacity reports whether n more executions fit into memory now.
func (r *Engine) HasCapacity(n int) bool {
	ok := r.slots.TryAcquire(int64(n))
	if ok {
		r.slots.Release(int64(n))
	}
	return ok
}
