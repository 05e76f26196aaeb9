package engine

import (
	"context"
	"errors"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/telemetry"
	"github.com/runplane/runplane/store"
)

// feedObserver publishes the commits to executions that are watched in this process.
type feedObserver struct{ feed *telemetry.Feed }

func (p feedObserver) Committed(c journal.Commit) {
	if p.feed.Watched(c.Head.ExecutionID) {
		p.feed.Publish(telemetry.Update{ExecutionID: c.Head.ExecutionID, Events: c.Events, Execution: c.Head.Execution})
	}
}

// RecordChanged is called when the store's watch names a record: its owner and its subscribers in this process are notified of the commits of
// other replicas. Records of other kinds are ignored.
func (r *Engine) RecordChanged(ctx context.Context, key store.Key) {
	switch owner := r.owner(key.ID); {
	case owner != nil && key.Kind == journal.KindNudge:
		owner.markStale()
	case owner == nil && key.Kind == journal.KindExecution && r.feed.Watched(key.ID):
		if h, _, err := r.journal.ReadHead(ctx, key.ID); err == nil {
			r.feed.Publish(telemetry.Update{ExecutionID: key.ID, Execution: h.Execution})
		} else if !errors.Is(err, context.Canceled) {
			r.log.Debug("read a changed execution: subscribers are notified of its next change", "execution_id", key.ID, "error", err)
		}
	}
}
