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

// Executions that ended long ago are deleted, with everything that belongs to them (delete.go), and so are states that were not written
// for long. Sessions that have ended expire by themselves, see session.Rules.Keep. All replicas share the rounds; one that did not
// come to the end is soon followed by the next one, so that many deletions are done in steps that leave time for other work.

// Retention says how long executions and states are kept. Zero fields keep them forever.
type Retention struct {
	// Executions is the time since an execution ended. It is kept longer while its parent, a child or a rerun of it is open. Its
	// idempotency key is deleted with it.
	Executions time.Duration
	// States is the time since a state was written last. States that were written with a TTL expire by that instead.
	States time.Duration
}

const (
	retainEvery       = time.Minute // between two rounds of all replicas together
	retainStatesEvery = time.Hour   // longer, as a round reads all states
	retainResume      = time.Second // after a round that did not come to the end
	deleteWorkers     = 4           // executions that one process deletes at once
)

// StatesPerPage is how many states one page of a round has; they may be large.
const StatesPerPage = 20

// endedTerms are the index terms of executions that may be deleted; first those whose deletion has begun.
var endedTerms = func() []string {
	terms := []string{journal.TermDeleted}
	for _, s := range schemas.Statuses() {
		if s.Terminal() {
			terms = append(terms, journal.TermStatus(s))
		}
	}
	return terms
}()

// ExecutionRounds returns the rounds that delete executions.
func (u *Upkeep) ExecutionRounds() *records.Rounds {
	c := u.newCalendar()
	page := func(ctx context.Context, part int, after string) (string, error) {
		return u.retainExecutions(ctx, endedTerms[part], after, c.now().Add(-u.retention.Executions))
	}
	return &records.Rounds{Name: "executions", Every: retainEvery, Resume: retainResume, Parts: len(endedTerms), Page: page, Begun: c.begun}
}

// StateRounds returns the rounds that delete states.
func (u *Upkeep) StateRounds() *records.Rounds {
	c := u.newCalendar()
	page := func(ctx context.Context, _ int, after string) (string, error) {
		return u.retainStates(ctx, after, c.now().Add(-u.retention.States))
	}
	return &records.Rounds{Name: "states", Every: retainStatesEvery, Resume: retainResume, Parts: 1, Page: page, Begun: c.begun}
}

// retainExecutions deletes those of one page of executions that ended before limit, the oldest first. If one cannot be deleted for
// another reason than an unavailable store, the others are deleted nevertheless.
func (u *Upkeep) retainExecutions(ctx context.Context, term, after string, limit time.Time) (next string, err error) {
	page, err := u.store.List(ctx, store.Query{Kind: journal.KindExecution, Term: term, After: after, Limit: records.PageSize})
	if err != nil {
		return "", err
	}
	if len(page) == records.PageSize {
		next = page[records.PageSize-1].Key.ID
	}
	var deleted atomic.Int64
	var g errgroup.Group
	g.SetLimit(deleteWorkers)
	for i := range page {
		var h journal.Head
		if err := json.Unmarshal(page[i].Value, &h); err != nil {
			u.log.Error("read the head of an execution: skipping it", "execution_id", page[i].Key.ID, "error", err)
			continue
		}
		if createdAfter(page[i].Key.ID, limit) { // and so were all that follow
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
			case err != nil && !errors.Is(err, records.ErrUnavailable):
				u.log.Error("delete an execution that ended long ago: trying again in the next round", "execution_id", h.ExecutionID, "error", err)
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

// createdAfter reports whether an id was made after a time. Ids sort by time; the execution of an id may be much younger: a firing
// that could not be made for long, or an idempotency key that a process reserved before it died.
func createdAfter(id string, t time.Time) bool {
	u, err := ulid.ParseStrict(id)
	return err == nil && u.Timestamp().After(t)
}

// deleteUnneeded deletes an execution unless another one needs it, or its head has changed; deleted reports whether it did.
func (u *Upkeep) deleteUnneeded(ctx context.Context, h *journal.Head, version int64) (deleted bool, err error) {
	if !h.Deleted {
		if needed, err := u.isNeeded(ctx, h); needed || err != nil {
			return false, err
		}
	}
	err = u.Delete(ctx, h, version)
	if errors.Is(err, store.ErrConflict) { // another replica deletes it
		return false, nil
	}
	return err == nil, err
}

// isNeeded reports whether an open execution needs one that has ended: its parent may still read its output, its child how it ended, and
// readers of a rerun what it repeats.
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
	return len(by) > 0, records.StoreError(err)
}

// retainStates deletes those of one page of states that were not written since then.
func (u *Upkeep) retainStates(ctx context.Context, after string, since time.Time) (next string, err error) {
	page, err := u.store.List(ctx, store.Query{Kind: state.Kind, After: after, Limit: StatesPerPage})
	if err != nil {
		return "", err
	}
	if len(page) == StatesPerPage {
		next = page[StatesPerPage-1].Key.ID
	}
	deleted := 0
	for i := range page {
		unwritten, err := u.states.DeleteUnwritten(ctx, page[i], since)
		switch {
		case unwritten:
			deleted++
		case errors.Is(err, records.ErrUnavailable):
			return "", err
		case err != nil:
			u.log.Error("delete a state that was not written for long: trying again in the next round", "state", page[i].Key.ID, "error", err)
		}
	}
	if deleted > 0 {
		u.log.Info("deleted states that were not written for long", "states", deleted)
	}
	return next, nil
}
