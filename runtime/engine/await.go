package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// await begins a wait: it says which state it is for.
func (t *turn) awaitState(unit int, e *schemas.Event) error {
	a := t.x.State.Node(unit).Awaited
	key, err := a.Key.Text(t.scope(unit))
	if errors.Is(err, records.Unavailable) {
		return err
	}
	if err != nil {
		return schemas.AsError(err).WithField("/state/key")
	}
	if len(key) == 0 || len(key) > state.MaxKey {
		return schemas.Errorf(schemas.CodeInvalidArgument, "the key of the state has %d bytes, want 1 to %d", len(key), state.MaxKey).WithField("/state/key").
			WithHint("state_key names one state, as in order-17; reference what holds its name")
	}
	e.State = &schemas.StateName{Type: a.Type, Key: key}
	return nil
}

// waits is the companion of an execution that waits for states.
type waits struct {
	idle
	unread  bool      // the states are to be looked at before the lease goes
	retryAt time.Time // when they are looked at again, as the store did not let the owner look; zero: it did
	folds   int       // of the execution when unlooked was last set, see execution.folds
	begun   bool      // the turn begins a wait, or lets one go on
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

func (w *waits) prepare(t *turn) {
	t.head.Awaits = journal.Awaits(t.head.Principal, t.x.State)
	if !t.x.State.Awaits() {
		return
	}
	looks := w.unread
	if t.mode == guest { // an owner looks, also where the last one has not yet
		looks = w.begun || !t.x.Head.Due.IsZero() && !t.x.Head.Due.After(t.now)
	}
	if looks {
		t.needOwner(t.now)
	}
}

// stepped has the owner look at the states; what that decides comes in as a request.
func (w *waits) stepped(o *owner, s *stepResult) time.Time {
	if !w.unread || !o.x.State.Awaits() || s.released || o.x.lease == nil {
		return w.retryAt
	}
	over, err := o.r.readAwaited(o.r.storeCtx, o.x)
	if err != nil {
		if o.r.storeCtx.Err() == nil {
			o.r.log.Warn("look at the states that an execution waits for: trying again", "execution_id", o.x.ID, "error", err)
		}
		w.retryAt = time.Now().Add(readRetry)
		return w.retryAt
	}
	w.unread, w.retryAt = false, time.Time{}
	o.submit(&request{decide: endWaits(over)})
	return w.retryAt
}

// readRetry is how long an owner waits for a store that did not let it look.
const readRetry = time.Second

// checkAwaited is waits.tend for somebody who has heard of a change of one state, and need not own the execution.
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
		if err := r.endOfWait(ctx, x, a, &s, records.Now(), over); err != nil {
			return err
		}
	}
	switch {
	case len(over) == 0:
		return nil
	case r.owner(id) != nil:
		return r.Decide(ctx, id, endWaits(over))
	}
	return r.decideAsGuest(ctx, x, endWaits(over))
}

// readAwaited reads the states that an execution waits for, and tells how those waits end that are over. Of the others it will hear
// again, also where a state expires.
func (r *Engine) readAwaited(ctx context.Context, x *execution) (map[machine.Await]schemas.Event, error) {
	over := map[machine.Await]schemas.Event{}
	for _, a := range x.State.Awaiting() {
		key := state.Key(x.Head.Principal, a.State)
		s, err := r.states.Read(ctx, key)
		now := records.Now()
		if err == nil {
			err = r.endOfWait(ctx, x, a, &s, now, over)
		}
		if _, is := over[a]; err == nil && !is {
			err = r.states.Remind(ctx, key, &s, now)
		}
		if err != nil {
			return nil, err
		}
	}
	return over, nil
}

// endWaits decides that waits are over which still go on.
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

// endOfWait adds how a wait is over where the state was found so; nothing: it is not.
func (r *Engine) endOfWait(ctx context.Context, x *execution, a machine.Await, found *state.Record, now time.Time, ends map[machine.Await]schemas.Event) error {
	seen := awaitedState{Found: found.Exists(now), Version: found.VersionAt(now)}
	if seen.Found {
		seen.Data = found.Data
	}
	output, err := schemas.Encode(seen)
	if err != nil {
		return fmt.Errorf("encode state: %w", err)
	}
	n := x.State.Node(a.Unit)
	over := seen.Found
	if n.Awaited.Until != nil {
		over, err = n.Awaited.Until.Bool(r.journal.Scope(ctx, x.Execution, a.Unit).WithState(json.RawMessage(output)))
	}
	var e schemas.Event
	switch {
	case errors.Is(err, records.Unavailable):
		return err
	case err != nil && seen.Found:
		e = x.State.Final(a.Unit, untilError(err).WithField(fmt.Sprintf("/nodes/%d/wait_for/until", n.Index)).WithOutcome(schemas.NotRun))
	case !over: // also where the condition cannot be asked about a state that is not there
		return nil
	default:
		e = x.State.Event(schemas.EventNodeSucceeded, a.Unit)
		e.Output = output
	}
	e.Attempt = x.State.Units[a.Unit].Attempts
	ends[a] = e
	return nil
}

// awaitedState is what a condition reads as state, and the output of the node.
type awaitedState struct {
	Found   bool          `json:"found"`
	Data    schemas.Value `json:"data"`
	Version int64         `json:"version"`
}

// untilError is the error of a condition that could not be asked about a state that is there.
func untilError(err error) *schemas.Error {
	e := schemas.AsError(err)
	if e.Hint == "" {
		e = e.WithHint("where the state may lack a member, ask first: has(state.data.x) && state.data.x == 1")
	}
	return e
}
