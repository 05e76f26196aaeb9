package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// awaitState puts the state that a unit begins to wait for into the event that starts it.
func (t *turn) awaitState(unit int, e *schemas.Event) error {
	a := t.x.State.Node(unit).Awaited
	key, err := a.Key.Text(t.ctx, t.scope(unit), t.r.limits.Plan.Limits)
	if notEvaluated(err) {
		return err
	}
	if err != nil {
		return schemas.AsError(err).WithField("/state/key")
	}
	if len(key) == 0 || len(key) > state.MaxKey {
		return schemas.Errorf(schemas.CodeInvalidArgument, "the key of the state has %d bytes, want 1 to %d", len(key), state.MaxKey).
			WithField("/state/key").WithHint("state_key names one state, as in order-17; reference what holds its name")
	}
	e.State = &schemas.StateName{Type: a.Type, Key: key}
	return nil
}

// waits is the companion of an execution that waits for states. The owner reads the states once when a wait begins or continues, before it
// releases the lease. After that the writers of the states have the waits checked (await_notify.go).
type waits struct {
	idle
	unread bool // the states are to be read before the lease is released
	folds  int  // execution.folds when unread was last set for that
	begun  bool // the turn begins a wait, or continues waits
}

func (w *waits) begin(t *turn) {
	w.begun = false
	if w.folds != t.x.folds {
		w.folds, w.unread = t.x.folds, true
	}
}

func (w *waits) applying(_ *turn, e *schemas.Event) func() {
	if e.State != nil || e.Type == schemas.EventResumed {
		w.begun, w.unread = true, true
	}
	return nil
}

// prepare sets the index terms of the waits, and sees to it that an owner reads the states.
func (w *waits) prepare(t *turn) {
	t.head.Awaits = journal.Awaits(t.head.Principal, t.x.State)
	if !t.x.State.AwaitsState() {
		return
	}
	unread := w.unread
	if t.mode == guest { // an owner is needed for new waits, and if it is due already: the last owner may not have read the states
		unread = w.begun || !t.x.Head.Due.IsZero() && !t.x.Head.Due.After(t.now)
	}
	if unread {
		t.needOwner(t.now)
	}
}

// stepped reads the states. The waits that are over are ended by a request to the owner.
func (w *waits) stepped(o *owner, s *stepResult) time.Time {
	if !w.unread || !o.x.State.AwaitsState() || s.released || o.x.lease == nil {
		return time.Time{}
	}
	over, err := o.r.readAwaited(o.r.storeCtx, o.x)
	if err != nil {
		if o.r.storeCtx.Err() == nil {
			o.r.log.Warn("read the states that an execution waits for: trying again", "execution_id", o.x.ID, "error", err)
		}
		return o.r.store.Now().Add(readRetry)
	}
	w.unread = false
	o.submit(&request{decide: endWaits(over)})
	return time.Time{}
}

// readRetry is how long an owner waits before it reads states again, after the store failed.
const readRetry = time.Second

// readAwaited reads the states that an execution waits for, and returns the events that end the waits that are over. For the other waits it
// leaves a wake if their state will expire.
func (r *Engine) readAwaited(ctx context.Context, x *execution) (map[machine.Await]schemas.Event, error) {
	over := map[machine.Await]schemas.Event{}
	for _, a := range x.State.Awaiting() {
		key := state.Key(x.Head.Principal, a.State)
		s, err := r.states.Read(ctx, key)
		if err != nil {
			return nil, err
		}
		now := r.store.Now()
		var e *schemas.Event
		err = r.guarded(x, func() (err error) {
			e, err = r.endOfWait(ctx, x, a, &s, now)
			return err
		})
		if err != nil {
			return nil, err
		}
		if e != nil {
			over[a] = *e
		} else if err := r.states.NotifyAtExpiry(ctx, key, &s, now); err != nil {
			return nil, err
		}
	}
	return over, nil
}

// checkAwaited ends the waits of an execution for one state that are over, after the state has changed. This process need not own the
// execution.
func (r *Engine) checkAwaited(ctx context.Context, id string, key store.Key) error {
	x, err := r.open(ctx, id)
	if err != nil {
		return err
	}
	over := map[machine.Await]schemas.Event{}
	for _, a := range x.State.Awaiting() {
		if state.Key(x.Head.Principal, a.State) != key {
			continue
		}
		s, err := r.states.Read(ctx, key)
		if err != nil {
			return err
		}
		var e *schemas.Event
		err = r.guarded(x, func() (err error) {
			e, err = r.endOfWait(ctx, x, a, &s, r.store.Now())
			return err
		})
		if err != nil {
			return err
		}
		if e != nil {
			over[a] = *e
		}
	}
	switch {
	case len(over) == 0:
		return nil
	case r.owner(id) != nil:
		return r.Decide(ctx, id, endWaits(over))
	}
	q := &request{decide: endWaits(over)}
	if err := r.decideAsGuest(ctx, x, q); err != nil {
		return err
	}
	return q.err
}

// endWaits decides that waits are over, as far as they still last.
func endWaits(over map[machine.Await]schemas.Event) Decision {
	return func(s *machine.State, _ time.Time) (events []schemas.Event, _ error) {
		for _, a := range s.Awaiting() {
			if e, is := over[a]; is && e.Attempt == s.Units[a.Unit].Attempts {
				events = append(events, e)
			}
		}
		return events, nil
	}
}

// endOfWait returns the event that ends a wait for the state that was found; nil: the wait is not over.
func (r *Engine) endOfWait(ctx context.Context, x *execution, a machine.Await, found *state.Record, now time.Time) (*schemas.Event, error) {
	awaited := awaitedState{Found: found.Exists(now), Version: found.VersionAt(now)}
	if awaited.Found {
		awaited.Data = found.Data
	}
	output, err := schemas.Encode(awaited)
	if err != nil {
		return nil, fmt.Errorf("encode state: %w", err)
	}
	n := x.State.Node(a.Unit)
	over := awaited.Found
	if n.Awaited.Until != nil {
		sc := r.journal.Scope(ctx, x.Execution, a.Unit).WithState(json.RawMessage(output))
		over, err = n.Awaited.Until.Bool(ctx, sc, r.limits.Plan.Limits)
	}
	var e schemas.Event
	switch {
	case notEvaluated(err):
		return nil, err
	case err != nil && awaited.Found:
		field := fmt.Sprintf("/nodes/%d/wait_for/until", n.Index)
		e = x.State.Final(a.Unit, untilError(err).WithField(field).WithOutcome(schemas.NotRun))
	case !over: // also if the condition cannot be evaluated for a state that does not exist
		return nil, nil
	default:
		e = x.State.Event(schemas.EventNodeSucceeded, a.Unit)
		e.Output = output
	}
	e.Attempt = x.State.Units[a.Unit].Attempts
	return &e, nil
}

// awaitedState is what the condition of a wait reads as state, and the output of its node.
type awaitedState struct {
	Found   bool          `json:"found"`
	Data    schemas.Value `json:"data"`
	Version int64         `json:"version"`
}

// untilError is the error of a condition that cannot be evaluated for a state that exists.
func untilError(err error) *schemas.Error {
	e := schemas.AsError(err)
	if e.Hint == "" {
		e = e.WithHint("where the state may lack a member, ask first: has(state.data.x) && state.data.x == 1")
	}
	return e
}
