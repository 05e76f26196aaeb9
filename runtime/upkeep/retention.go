package upkeep

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"
	"golang.org/x/sync/errgroup"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// What has been over for long is deleted: executions that ended, with everything that belongs to them (delete.go), and states that
// nobody writes. A session that has ended carries its own end, see SessionRules.Keep. All replicas share the rounds; one that
// did not come to the end is followed by the next one at once, so that a great many are worked off in steps that leave room.

// Retention says how long what is over can still be read. 0 keeps it for ever.
type Retention struct {
	// Executions is the time since an execution ended. It stays while its parent, a child or a rerun of it is open. An idempotency
	// key stands for it no longer than it is there.
	Executions time.Duration
	// States is the time since a state was written last. One that was written with a TTL ends by that.
	States time.Duration
}

const (
	retainEvery       = time.Minute // one pass of all replicas together
	retainStatesEvery = time.Hour   // all states are read for it
	retainResume      = time.Second // behind a pass that did not come to the end
	deleteWorkers     = 4           // executions
)

// StatesPerPage is how many states one page of a pass has; they may be large.
const StatesPerPage = 20

// endedTerms find the executions that may go: first those whose deletion has begun.
var endedTerms = func() []string {
	terms := []string{journal.TermDeleted}
	for _, s := range schemas.Statuses() {
		if s.Terminal() {
			terms = append(terms, "status="+string(s))
		}
	}
	return terms
}()

// ExecutionRounds are the passes that delete executions.
func (u *Upkeep) ExecutionRounds() *records.Rounds {
	return &records.Rounds{Name: "executions", Every: retainEvery, Resume: retainResume, Parts: len(endedTerms), Page: func(ctx context.Context, part int, after string) (string, error) {
		return u.retainExecutions(ctx, endedTerms[part], after)
	}}
}

// StateRounds are the passes that delete states.
func (u *Upkeep) StateRounds() *records.Rounds {
	return &records.Rounds{Name: "states", Every: retainStatesEvery, Resume: retainResume, Parts: 1, Page: func(ctx context.Context, _ int, after string) (string, error) {
		return u.retainStates(ctx, after)
	}}
}

// retainExecutions looks at one page of executions that have ended, the oldest first. Where one cannot be deleted for another reason
// than the store, the others go all the same.
func (u *Upkeep) retainExecutions(ctx context.Context, term, after string) (next string, err error) {
	page, err := u.store.List(ctx, store.Query{Kind: journal.KindExecution, Term: term, After: after, Limit: records.PageSize})
	if err != nil {
		return "", err
	}
	if len(page) == records.PageSize {
		next = page[records.PageSize-1].Key.ID
	}
	limit := records.Now().Add(-u.retention.Executions)
	var deleted atomic.Int64
	var g errgroup.Group
	g.SetLimit(deleteWorkers)
	for i := range page {
		var h journal.Head
		if err := json.Unmarshal(page[i].Value, &h); err != nil {
			u.log.Error("read head", "execution_id", page[i].Key.ID, "error", err)
			continue
		}
		if createdAfter(page[i].Key.ID, limit) { // and so is everything that follows
			next = ""
			break
		}
		if !h.Deleted && (h.FinishedAt == nil || h.FinishedAt.After(limit)) {
			continue
		}
		g.Go(func() error {
			ok, err := u.deleteUnneeded(ctx, &h, page[i].Version)
			switch {
			case ok:
				deleted.Add(1)
			case err != nil && !errors.Is(err, records.Unavailable):
				u.log.Error("delete an execution that ended long ago", "execution_id", h.ExecutionID, "error", err)
				err = nil
			}
			return err
		})
	}
	err = g.Wait()
	if n := deleted.Load(); n > 0 {
		u.log.Info("deleted executions that ended long ago", "executions", n)
	}
	return next, err
}

// createdAfter tells whether an id was made after a time. Ids go by time; the execution of one may be much younger: a firing that could not
// be made for long, a key that was reserved by somebody who died.
func createdAfter(id string, t time.Time) bool {
	u, err := ulid.ParseStrict(id)
	return err == nil && u.Timestamp().After(t)
}

// deleteUnneeded deletes an execution unless another one needs it.
func (u *Upkeep) deleteUnneeded(ctx context.Context, h *journal.Head, version int64) (deleted bool, err error) {
	if !h.Deleted {
		if needed, err := u.isNeeded(ctx, h); needed || err != nil {
			return false, err
		}
	}
	err = u.Delete(ctx, h, version)
	if errors.Is(err, store.ErrConflict) { // somebody else is at it
		return false, nil
	}
	return err == nil, err
}

// isNeeded tells whether an execution that has ended belongs to an open one: its parent may still ask for its output, its child for how it
// ended, and who looks at a rerun for what it repeats.
func (u *Upkeep) isNeeded(ctx context.Context, h *journal.Head) (bool, error) {
	if h.ParentID != "" {
		switch parent, _, err := u.journal.ReadHead(ctx, h.ParentID); {
		case errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}):
		case err != nil:
			return false, err
		case !parent.Status.Terminal():
			return true, nil
		}
	}
	by, err := u.store.List(ctx, store.Query{Kind: journal.KindExecution, Term: journal.TermNeeds(h.ExecutionID), Limit: 1, Bare: true})
	return len(by) > 0, records.Error(err)
}

// retainStates looks at one page of states.
func (u *Upkeep) retainStates(ctx context.Context, after string) (next string, err error) {
	page, err := u.store.List(ctx, store.Query{Kind: state.Kind, After: after, Limit: StatesPerPage})
	if err != nil {
		return "", err
	}
	if len(page) == StatesPerPage {
		next = page[StatesPerPage-1].Key.ID
	}
	since, deleted := records.Now().Add(-u.retention.States), 0
	for i := range page {
		unwritten, err := u.states.DeleteUnwritten(ctx, page[i], since)
		switch {
		case unwritten:
			deleted++
		case errors.Is(err, records.Unavailable):
			return "", err
		case err != nil:
			u.log.Error("delete a state that was not written for long", "state", page[i].Key.ID, "error", err)
		}
	}
	if deleted > 0 {
		u.log.Info("deleted states that nobody writes", "states", deleted)
	}
	return next, nil
}
