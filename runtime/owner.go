package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/runplane/runplane/runtime/call"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// owner runs one execution from its claim until nothing is left to do but wait. One goroutine decides and commits;
// calls run in their own and send their results to its inbox.
type owner struct {
	r *Runtime
	x *execution

	mu     sync.Mutex
	inbox  []*request
	closed bool
	stale  bool // somebody else changed the execution
	lease  *store.Lease
	gone   bool          // the lease is lost
	signal chan struct{} // one token: the inbox is not empty, or one of the words above has changed

	lost    chan struct{} // closed when the lease is gone
	claimed bool          // the lease came by a claim: what others left in flight is to be decided
	flights map[int]*flight
	kids    map[int]string // children by unit
}

// flight is a call in flight.
type flight struct {
	unit, attempt int
	effect        schemas.Effect
	cancel        context.CancelCauseFunc
}

// errLetGo answers requests that came while the owner was letting go: ask again.
var errLetGo = errors.New("owner let go")

// adopt makes this process the owner of an execution and runs it in a goroutine of its own: one that was claimed, by its lease, or
// without one a new execution by what base claims. The caller has a slot, which the owner gives back.
func (r *Runtime) adopt(x *execution, lease *store.Lease, first []*request, base store.Batch) {
	o := &owner{
		r: r, x: x, lease: lease, claimed: lease != nil, signal: make(chan struct{}, 1), lost: make(chan struct{}), flights: map[int]*flight{}, kids: map[int]string{},
	}
	x.lease = lease
	r.mu.Lock()
	old := r.owned[x.id]
	switch {
	case r.stopping:
		r.mu.Unlock()
		r.slots.Release(1)
		r.giveBack(x, r.now())
		answer(first, schemas.Errorf(schemas.CodeUnavailable, "the runtime is stopping").WithHint("try again when it is back"))
		return
	case old != nil && lease == nil: // the same idempotency key is just making it
		r.mu.Unlock()
		r.slots.Release(1)
		answer(first, errLetGo)
		return
	case old != nil && old.regain(lease):
		r.mu.Unlock()
		r.slots.Release(1)
		return
	}
	r.owned[x.id] = o
	r.owners.Add(1)
	r.mu.Unlock()
	go func() {
		defer r.owners.Done()
		defer r.slots.Release(1)
		o.run(first, base)
	}()
}

// owner is who owns the execution in this process; nil: nobody.
func (r *Runtime) owner(id string) *owner {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owned[id]
}

// submit hands a request to the owner; false: it has let go.
func (o *owner) submit(q *request) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.inbox = append(o.inbox, q)
	o.poke()
	return true
}

// poke has the owner look around; o.mu is held.
func (o *owner) poke() {
	select {
	case o.signal <- struct{}{}:
	default:
	}
}

// refresh tells the owner that somebody else changed the execution.
func (o *owner) refresh() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stale = true
	o.poke()
}

// regain gives the owner a new lease: the last one lapsed before it was renewed, and this process claimed the execution
// anew. false: the owner is going, or has gone.
func (o *owner) regain(l *store.Lease) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.gone {
		return false
	}
	o.lease, o.stale = l, true
	o.poke()
	return true
}

// take empties the inbox.
func (o *owner) take() []*request {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.stale {
		o.stale = false
		o.x.state, o.x.changed = nil, true
	}
	if o.lease != nil && o.lease != o.x.lease {
		o.x.lease, o.claimed = o.lease, true
	}
	requests := o.inbox
	o.inbox = nil
	for _, q := range requests {
		if f := q.flight; f != nil && o.flights[f.unit] == f {
			delete(o.flights, f.unit)
		}
	}
	return requests
}

// letGo ends the ownership; the inbox takes nothing more.
func (o *owner) letGo() {
	o.r.mu.Lock()
	if o.r.owned[o.x.id] == o {
		delete(o.r.owned, o.x.id)
	}
	o.r.mu.Unlock()
	o.mu.Lock()
	o.closed = true
	left, lease := o.inbox, o.lease
	o.inbox = nil
	o.mu.Unlock()
	answer(left, errLetGo)
	for _, q := range left {
		if q.flight != nil {
			o.r.owners.Go(func() { o.r.late(o.x.id, q) })
		}
	}
	if lease != nil && lease != o.x.lease { // it came back too late
		o.x.lease = lease
		o.r.giveBack(o.x, o.r.now())
	}
	for _, f := range o.flights {
		f.cancel(schemas.Errorf(schemas.CodeCancelled, "nobody waits for this call any more"))
	}
}

// loseLease tells the owner that another worker may have the execution by now, unless it has a newer lease.
func (o *owner) loseLease(l store.Lease) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.gone && o.lease != nil && o.lease.Token == l.Token {
		o.gone = true
		close(o.lost)
	}
}

// answer ends the wait of those who asked; a nil err leaves each request its own.
func answer(requests []*request, err error) {
	for _, q := range requests {
		if err != nil {
			q.err = err
		}
		if q.done != nil {
			close(q.done)
		}
	}
}

// takeOver starts a pending execution, and decides about the calls that the last owner left in flight.
func (o *owner) takeOver(s *machine.State, now time.Time) ([]schemas.Event, error) {
	if s.Status == schemas.StatusPending {
		return []schemas.Event{{Type: schemas.EventStarted, By: o.r.worker}}, nil
	}
	return s.Recover(o.r.worker, now, o.r.limits.MaxRecoveries, o.makes), nil
}

// makes tells whether the owner itself makes the call of the attempt, or is about to.
func (o *owner) makes(unit, attempt int) bool {
	if f := o.flights[unit]; f != nil && f.attempt == attempt {
		return true
	}
	return slices.ContainsFunc(o.x.doubtful, func(l launch) bool {
		return l.unit == unit && l.attempt == attempt && l.stands(o.x.state)
	})
}

func (o *owner) run(requests []*request, base store.Batch) {
	defer o.letGo()
	how := proceed
	var delay time.Duration
	for {
		if how == drain && len(o.flights) == 0 {
			how = wind
		}
		decided := requests
		if o.claimed { // behind the results that are there
			decided = append(slices.Clip(requests), &request{decide: o.takeOver})
		}
		s, err := o.r.step(o.r.storeCtx, o.x, decided, how, base)
		if err != nil {
			if requests, delay = o.troubled(requests, base, err, delay); requests == nil {
				return
			}
			continue
		}
		delay, base, o.claimed = 0, store.Batch{}, false
		o.mu.Lock()
		if o.lease == nil {
			o.lease = o.x.lease
		}
		o.mu.Unlock()
		for _, l := range s.launches {
			o.launch(l)
		}
		if o.x.folded {
			o.x.folded = false
			o.tendAll()
		}
		for _, c := range s.children {
			o.tend(c)
		}
		answer(requests, nil)
		o.endChildren()
		if s.released || o.x.lease == nil {
			return
		}
		o.abort(how)
		if !s.more {
			var ok bool
			if how, ok = o.wait(how, s.at); !ok {
				return
			}
		}
		requests = o.take()
	}
}

// wait blocks until there is something to do after a step at the given time. false: the execution is not ours any more.
func (o *owner) wait(how extent, at time.Time) (extent, bool) {
	stop := o.r.stop
	if how != proceed {
		stop = nil
	}
	var due <-chan time.Time
	if wake := o.x.state.Wake(at); !wake.IsZero() {
		t := time.NewTimer(time.Until(wake))
		defer t.Stop()
		due = t.C
	}
	select {
	case <-o.signal:
	case <-due:
	case <-stop:
		return drain, true
	case <-o.lost:
		o.r.log.Warn("lost the lease: another worker goes on", "execution_id", o.x.id)
		return how, false
	case <-o.r.storeCtx.Done():
		return how, false
	}
	return how, true
}

// maxDelay is the longest pause between two tries of a commit that the store refuses.
const maxDelay = 5 * time.Second

// troubled handles a step that failed for the store's sake: results are kept and tried again, everybody else is told. No
// requests back means that the owner has to go.
func (o *owner) troubled(requests []*request, base store.Batch, err error, delay time.Duration) ([]*request, time.Duration) {
	if errors.Is(err, store.ErrConflict) { // somebody else has made the new execution
		answer(requests, err)
		return nil, 0
	}
	if !errors.Is(err, errStore) || base.Claim != nil || o.r.storeCtx.Err() != nil || errors.Is(err, store.ErrClosed) {
		if o.r.storeCtx.Err() == nil {
			o.r.log.Error("run execution", "execution_id", o.x.id, "error", err)
		}
		answer(requests, err)
		again := o.r.now().Add(pause)
		if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
			again = time.Time{} // it was deleted
		}
		o.r.giveBack(o.x, again)
		return nil, 0
	}
	o.r.log.Warn("commit failed: trying again", "execution_id", o.x.id, "error", err)
	keep := make([]*request, 0, len(requests)+1)
	var tell []*request
	for _, q := range requests {
		if q.done == nil {
			keep = append(keep, q)
		} else {
			tell = append(tell, q)
		}
	}
	answer(tell, err)
	delay = min(max(2*delay, 100*time.Millisecond), maxDelay)
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-o.lost:
		return nil, 0
	case <-o.r.storeCtx.Done():
	}
	return append(keep, o.take()...), delay
}

// pause is how long an execution that cannot be run at all is left alone.
const pause = time.Minute

// giveBack releases an execution that cannot be run here, so that it is tried again at the time, or never with
// a zero one, and blocks nothing until then.
func (r *Runtime) giveBack(x *execution, at time.Time) {
	if x.lease == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.storeCtx), time.Second)
	defer cancel()
	if _, err := r.store.Commit(ctx, store.Batch{Release: x.lease, Wakes: []store.Wake{{Key: executionKey(x.id), At: at}}}); err != nil {
		r.log.Debug("release", "execution_id", x.id, "error", err)
	}
}

// tendAll looks after the children that were there before this owner.
func (o *owner) tendAll() {
	for unit := range o.x.state.Units {
		if u := &o.x.state.Units[unit]; u.Child != "" && u.Status == schemas.NodeRunning && o.kids[unit] == "" {
			o.tend(child{unit: unit, id: u.Child})
		}
	}
}

// launch makes a call that was just committed as started.
func (o *owner) launch(l launch) {
	ctx, cancel := context.WithCancelCause(WithHops(o.r.callsCtx, o.x.head.Hops))
	f := &flight{unit: l.unit, attempt: l.attempt, effect: l.target.Effect, cancel: cancel}
	o.flights[l.unit] = f
	c := &call.Call{
		Realm: l.target.Realm, Capability: l.target.Capability, Inputs: l.inputs, Effect: l.target.Effect, Attempt: l.attempt,
		Key: l.key, IdempotencyArg: l.target.IdempotencyArg, Timeout: l.target.Timeout.Std(), TimeoutFrom: l.target.TimeoutFrom,
		Heartbeat: l.target.HeartbeatTimeout.Std(), ExecutionID: o.x.id, NodeID: o.x.state.Name(l.unit),
	}
	o.r.owners.Go(func() {
		defer cancel(nil)
		began := time.Now()
		res, err := o.r.attempt.Invoke(ctx, c)
		if q := (&request{flight: f, decide: o.ended(l, res, err, time.Since(began))}); !o.submit(q) {
			o.r.late(o.x.id, q) //nolint:contextcheck // the call is over, and its context with it
		}
	})
}

// late passes on a call's end that came when its owner had let go: nobody else knows of it, and where the attempt still
// counts as in flight somebody waits for it.
func (r *Runtime) late(id string, q *request) {
	ctx, cancel := context.WithTimeout(r.storeCtx, settle)
	defer cancel()
	if err := r.transition(ctx, id, q.decide); err != nil {
		r.log.Debug("the result of a call came too late", "execution_id", id, "error", err)
	}
}

// ended decides what a call's end means.
func (o *owner) ended(l launch, res *call.Result, err error, took time.Duration) decision {
	return func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		if err != nil {
			e := s.Failed(l.unit, l.attempt, schemas.AsError(err), took, now, o.r.random)
			if e == nil {
				return nil, nil
			}
			return []schemas.Event{*e}, nil
		}
		if !s.Attempt(l.unit, l.attempt) {
			return nil, nil
		}
		u := &s.Units[l.unit]
		e := s.Event(schemas.EventNodeSucceeded, l.unit)
		e.Attempt, e.DurationMS = l.attempt, float64(took.Microseconds())/1000
		switch u.Phase {
		case machine.PhaseUndo:
			e.Type = schemas.EventNodeCompensated
		case machine.PhaseVerify:
			if s != o.x.state { // too late for this owner; the next one verifies again
				return nil, nil
			}
			return o.verified(l, res, e, took, now)
		default:
			e.Output, e.Text, e.ServedBy = schemas.Value(res.Output), res.Text, res.ServedBy
			e.Degraded = res.Degraded || u.Fallback > 0
		}
		return []schemas.Event{e}, nil
	}
}

// verified decides by the answer of a verification: the call had happened, or it is made again.
func (o *owner) verified(l launch, res *call.Result, e schemas.Event, took time.Duration, now time.Time) ([]schemas.Event, error) {
	s := o.x.state
	v := s.Node(l.unit).Verify
	sc := scope{ctx: o.r.storeCtx, r: o.r, x: o.x, unit: l.unit, answer: plan.NewValue(res.Output)}
	happened, err := v.Happened.Bool(sc)
	e.Output, e.Reason, e.ServedBy = schemas.Value(res.Output), "verified", res.ServedBy
	if err == nil && happened && v.Output != nil {
		var out json.RawMessage
		out, err = v.Output.Render(sc, o.r.limits.Plan)
		e.Output = schemas.Value(out)
	}
	switch {
	case errors.Is(err, errStore):
		return nil, err
	case err == nil && !happened:
		e = *s.NotDone(l.unit, l.attempt, took, now, o.r.random) // it is in flight: the caller has looked
	case err != nil && s.Status == schemas.StatusCancelling:
		e.Type, e.Output = schemas.EventNodeCancelled, nil
	case err != nil:
		e.Type, e.Output, e.Reason = schemas.EventNodeHeld, nil, schemas.ReasonUnknown
		e.Error = schemas.Errorf(schemas.CodeOutcomeUnknown, "the call may have happened, and the answer of its verification cannot be read: %s", schemas.AsError(err).Message).
			WithOutcome(schemas.Unknown)
	}
	return []schemas.Event{e}, nil
}

// abort stops the calls that the execution does not want any more. A `once` call is stopped by a cancel alone: its result
// is worth waiting for.
func (o *owner) abort(how extent) {
	s := o.x.state
	if len(o.flights) == 0 {
		return
	}
	var why string
	switch {
	case s.Status == schemas.StatusCancelling:
		why = "the execution was cancelled"
	case s.Failing && s.Status == schemas.StatusRunning:
		why = "the execution failed at another node"
	case s.Status == schemas.StatusSuspending && s.Now:
		why = "the execution was suspended"
	case how != proceed:
		why = "the runtime is stopping"
	default:
		return
	}
	for _, f := range o.flights {
		if s.Status == schemas.StatusCancelling || f.effect.Rank() < schemas.EffectOnce.Rank() {
			f.cancel(schemas.Errorf(schemas.CodeCancelled, "the call was stopped: %s", why))
		}
	}
}
