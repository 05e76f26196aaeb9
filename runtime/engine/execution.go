package engine

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// execution is an execution as the commits of this process see it, used by one goroutine at a time.
type execution struct {
	*journal.Execution
	lease     *store.Lease // nil: somebody else may own it
	claimed   bool         // the lease came by a claim: the execution was due
	leaseSent time.Time    // when the commit that claimed the lease was sent

	latest atomic.Pointer[journal.Head] // as it was read or committed last, for others than the owner

	uncertain   []pendingCall // started by commits of which nobody knows whether they happened; nothing of it was called yet
	changed     bool          // somebody else committed since this process did: the wake may be theirs
	unconfirmed bool          // a commit that had to be durable ended without a word of that
	folds       int           // how often the state was read from the store

	family     *family
	waits      *waits
	rollbacks  *rollbacks
	companions []companion
}

// newExecution gives an execution its companions.
func newExecution(j *journal.Execution) *execution {
	x := &execution{Execution: j, family: new(family), waits: new(waits), rollbacks: new(rollbacks)}
	x.companions = companionsOf(x)
	return x
}

// owned makes x the execution of an owner, with the lease of a claim; nil: its first commit claims one.
func (x *execution) owned(lease *store.Lease) {
	x.lease, x.claimed = lease, lease != nil
	x.rollbacks.recent = new(recentCommits)
}

// open reads an execution from the store to change it.
func (r *Engine) open(ctx context.Context, id string) (*execution, error) {
	j, err := r.journal.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	x := newExecution(j)
	x.folded()
	return x, nil
}

// folded takes note that the execution was folded from the store.
func (x *execution) folded() {
	h := x.Head
	x.latest.Store(&h)
	x.rollbacks.recent.startFrom(position{x.Version, h.Seq})
	x.folds++
}

// reload folds x again from the store after its state turned out to be stale.
func (r *Engine) reload(ctx context.Context, x *execution) error {
	h, version, err := r.journal.ReadHead(ctx, x.ID)
	if err == nil || errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		h, version, err = r.detectRollback(ctx, x, h, version, err)
	}
	if errors.Is(err, store.ErrConflict) { // somebody changes it while it is restored
		return r.reload(ctx, x)
	}
	if err != nil {
		return err
	}
	x.latest.Store(&h)
	if err := r.journal.Fold(ctx, x.Execution, h, version); err != nil {
		return err
	}
	x.folded()
	return nil
}
