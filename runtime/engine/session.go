package engine

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/session"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// SessionEnded is the hook of package session: it cancels the executions of a session that has ended, if the end asks for that.
func (r *Engine) SessionEnded(ctx context.Context, e session.Ended) error {
	if !e.Cancel {
		return nil
	}
	reason := "its session " + e.SessionID + " " + e.How
	return r.store.Each(ctx, store.Query{Kind: journal.KindExecution, Term: session.Term(e.SessionID)}, func(rec store.Record) error {
		var h journal.Head
		if err := json.Unmarshal(rec.Value, &h); err != nil {
			return err
		}
		if h.Principal != e.Principal || h.Status.Terminal() || h.ParentID != "" { // a child ends with its parent
			return nil
		}
		_, err := r.Cancel(ctx, rec.Key.ID, CancelOptions{Reason: reason})
		if errors.Is(err, &schemas.Error{Code: schemas.CodeAlreadyFinished}) || errors.Is(err, &schemas.Error{Code: schemas.CodeConflict}) {
			return nil // it has ended, or is about to
		}
		return err
	})
}
