package engine

// HasRoom reports whether n more executions fit into memory now.
func (r *Engine) HasRoom(n int) bool {
	ok := r.slots.TryAcquire(int64(n))
	if ok {
		r.slots.Release(int64(n))
	}
	return ok
}
