package engine

import (
	"context"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/store"
)

// readNudges reads the nudges of the last minute, in case the store's watch missed one: the executions that are owned here and were changed
// by other replicas.
func (r *Engine) readNudges(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.limits.Lease/(5*renewals))
	defer cancel()
	for after, page := "", records.PageSize; page == records.PageSize; {
		nudges, err := r.store.List(ctx, store.Query{Kind: journal.KindNudge, After: after, Limit: records.PageSize})
		if err != nil {
			r.log.Debug("read nudges: the next renewal reads them again", "error", err)
			return
		}
		for _, rec := range nudges {
			if o := r.owner(rec.Key.ID); o != nil {
				o.handleNudge(rec)
			}
			after = rec.Key.ID
		}
		page = len(nudges)
	}
}

// handleNudge is markStale for a nudge that was read, once for each nudge.
func (o *owner) handleNudge(rec store.Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.nudgedAt.Equal(rec.Expires) {
		return
	}
	o.nudgedAt, o.stale = rec.Expires, true
	o.signal.Set()
}
