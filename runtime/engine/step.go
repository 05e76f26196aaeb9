package engine

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// mode says what a step does beyond the decisions that it was given.
type mode int

const (
	guest     mode = iota // not the owner: it starts nothing, and wakes an owner for that
	draining              // an owner that waits for its calls in flight, in order to stop: it starts nothing
	releasing             // an owner that stops: it starts nothing and releases the lease
	fenced                // an owner whose lease may have expired: it starts nothing until the lease is renewed
	running               // the owner: it starts what can be started
)

// stepResult is the outcome of a step.
type stepResult struct {
	calls    []pendingCall // started, and now to be made
	released bool          // the lease is released; the owner drops the execution
	more     bool          // there is more to do at once
	takeOver bool          // calls in flight that this owner does not make are to be decided on, as after a claim
	at       time.Time     // of the turn
}

// step decides, applies and commits once. base is what else belongs to the batch of a new execution; if the execution exists already,
// the error is ErrConflict. Other errors are the store's. The error of a decision is set in its request.
func (r *Engine) step(ctx context.Context, x *execution, requests []*request, m mode, base store.Batch) (stepResult, error) {
	defer func() { //nolint:contextcheck // a mark is removed also if ctx has ended
		r.endAlone(x)
		if m == guest {
			r.unmark(x)
		}
	}()
	for range records.MaxConflicts {
		if m == running && !x.alone && !slices.ContainsFunc(requests, (*request).hasCaller) { // others may hold bytes and wait to be alone
			if err := r.uncommitted.wait(ctx); err != nil {
				return stepResult{}, err
			}
		}
		if x.State == nil {
			if err := r.reload(ctx, x); err != nil {
				return stepResult{}, err
			}
		}
		g := r.watch(x)
		t := &turn{r: r, x: x, ctx: ctx, mode: m, now: r.store.Now(), batch: base, steps: x.Steps(), guard: g, recoveries: x.State.Recoveries}
		t.batch.Puts, t.batch.Sync = slices.Clip(base.Puts), base.Sync || x.unconfirmed
		absent, carried := t.resumeUncertain(), x.allowance.carried
		for _, c := range x.companions {
			c.begin(t)
		}
		for _, q := range requests {
			q.err = t.decide(q.decide)
		}
		t.advance() //nolint:contextcheck // a mark is made also if ctx has ended
		g.end()
		if t.err != nil { // it is made again, as when the store does not answer: only the try that succeeds is paid for
			t.release()
			x.State, x.allowance.carried = nil, carried
			return stepResult{}, t.err
		}
		err := t.commit()
		t.release()
		if err == nil && !t.committed && (m != guest || len(requests) > 1) && slices.ContainsFunc(requests, (*request).hasCaller) {
			err = r.checkCurrent(ctx, x) // nothing was committed, and a state older than the request may have answered a caller
		}
		switch {
		case err == nil:
			x.uncertain = absent
			if t.committed {
				x.uncertain, x.changed, x.unconfirmed = nil, false, false
			}
			t.result.calls = slices.DeleteFunc(t.result.calls, func(l pendingCall) bool { return !l.isStarted(x.State) })
			t.result.at = t.now
			return t.result, nil
		case !errors.Is(err, store.ErrConflict): // the commit may have happened, or may still happen
			x.State, x.changed, x.unconfirmed = nil, true, x.unconfirmed || t.batch.Sync
			x.uncertain = slices.Concat(absent, t.result.calls)
			return stepResult{}, records.StoreError(err)
		case len(base.Puts) > 0:
			return stepResult{}, err
		}
		x.State, x.changed = nil, true // what was applied is not in the log
		r.endAlone(x)
	}
	return stepResult{}, schemas.
		Errorf(schemas.CodeConflict, "execution %q changes too fast: %d commits to it conflicted", x.ID, records.MaxConflicts).
		WithHint("try again").With(func(e *schemas.Error) { e.Retryable = true })
}

// resumeUncertain takes over the calls that were started by commits whose outcome was unknown: those that turned out to be in the log are
// made after this turn, the others are returned.
func (t *turn) resumeUncertain() (absent []pendingCall) {
	for _, c := range t.x.uncertain {
		if c.isStarted(t.x.State) {
			t.result.calls = append(t.result.calls, c)
		} else {
			absent = append(absent, c)
		}
	}
	return absent
}

// hasCaller reports whether a caller waits for the decision.
func (q *request) hasCaller() bool { return q.done != nil }

// checkCurrent returns ErrConflict if the execution has changed since its state was read.
func (r *Engine) checkCurrent(ctx context.Context, x *execution) error {
	_, version, err := r.journal.ReadHead(ctx, x.ID)
	if err == nil && version != x.Version {
		err = store.ErrConflict
	}
	return err
}
