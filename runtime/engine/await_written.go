package engine

import (
	"github.com/runplane/runplane/store"
)

// Written notes that this process has written a state: those who wait for it are notified. It does not block; what does not fit is left
// to the wake of the state.
func (r *Engine) Written(key store.Key) { r.written.Add(key) }

// notifyWritten is tellWaiting for what this process has written, also while it stops.
func (r *Engine) notifyWritten(key store.Key) {
	if err := r.notifyWaiting(r.storeCtx, key); err != nil && r.storeCtx.Err() == nil {
		r.log.Warn("tell those that wait for a state: they are told again later", "error", err)
	}
}
