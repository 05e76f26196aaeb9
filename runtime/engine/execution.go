package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// execution is an execution as seen by the commits of this process. Except for latest it is used by one goroutine at a time.
type execution struct {
	*journal.Execution
	lease     *store.Lease // nil: another process may own the execution
	claimed   bool         // the lease came by a claim: the execution was due
	died      bool         // the last owner did not release the execution, and no commit says so yet
	leaseSent time.Time    // when the commit that claimed the lease was sent

	latest atomic.Pointer[journal.Head] // as it was last read or committed

	uncertain   []pendingCall       // started by commits that may or may not have happened; none of them was made yet
	changed     bool                // another process has committed since this one did: the wake may be of its commit
	unconfirmed bool                // a commit that had to be durable ended without confirmation
	marked      bool                // its head may bear the mark of this process (guard.go)
	guard       guard               // of the work on it
	recovering  bool                // the turn counts a recovery, and evaluates nothing
	alone       bool                // it holds Engine.alone
	apart       *semaphore.Weighted // of which it has a place, see apart; nil: it has one of Engine.slots
	items       int                 // those for which it has room in Engine.room
	unread      error               // it was released, as it is not to be read; nil: it was not
	folds       int                 // how often the state was read from the store

	family     *family
	waits      *waits
	rollbacks  *rollbacks
	allowance  *allowance
	companions []companion
}

// newExecution gives an execution its companions.
func newExecution(j *journal.Execution) *execution {
	x := &execution{Execution: j, family: new(family), waits: new(waits), rollbacks: new(rollbacks), allowance: new(allowance)}
	x.companions = companionsOf(x)
	return x
}

// owned makes x the execution of an owner, with the lease of a claim; nil: the first commit claims a lease.
func (x *execution) owned(lease *store.Lease) {
	x.lease, x.claimed = lease, lease != nil
	x.died = x.claimed && lease.Died
	x.rollbacks.recent = new(recentCommits)
}

// open reads an execution from the store in order to change it.
func (r *Engine) open(ctx context.Context, id string) (*execution, error) {
	j, err := r.journal.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	return opened(j), nil
}

func opened(j *journal.Execution) *execution {
	x := newExecution(j)
	x.folded()
	return x
}

// folded notes that the state was folded from the store.
func (x *execution) folded() {
	h := x.Head
	x.latest.Store(&h)
	x.rollbacks.recent.startFrom(position{x.Version, h.Seq})
	x.folds++
}

// committed notes what was committed.
func (x *execution) committed(h *journal.Head, done store.Committed, sent time.Time) {
	x.Head, x.Version = *h, done.Versions[len(done.Versions)-1]
	x.latest.Store(h)
	x.marked, x.died = false, false
	x.Committed()
	if done.Lease != nil {
		x.lease, x.leaseSent = done.Lease, sent
	}
}

// leaseToRelease returns the lease of x as it is to be released: that the last owner died is passed on to the next one until a commit
// says so.
func (x *execution) leaseToRelease() *store.Lease {
	if x.lease == nil || x.lease.Died == x.died {
		return x.lease
	}
	l := *x.lease
	l.Died = x.died
	return &l
}

// reload folds x again from the store after its state turned out to be stale.
func (r *Engine) reload(ctx context.Context, x *execution) error {
	if x.unread != nil {
		return x.unread
	}
	h, version, err := r.journal.ReadHead(ctx, x.ID)
	if err == nil || errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		h, version, err = r.detectRollback(ctx, x, h, version, err)
	}
	if errors.Is(err, store.ErrConflict) { // it was changed while it was restored
		return r.reload(ctx, x)
	}
	if err != nil {
		return err
	}
	x.latest.Store(&h)
	if x.lease != nil && !r.hasRoom(x, &h) {
		return errNoRoom
	}
	err = r.fold(ctx, x, h, version)
	if errors.Is(err, store.ErrConflict) {
		return r.reload(ctx, x)
	}
	if err != nil {
		return err
	}
	x.folded()
	return nil
}
