package runtime

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/telemetry"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// execution is one execution in memory: a cache of its log, used by one goroutine at a time.
type execution struct {
	id      string
	head    head
	version int64
	state   *machine.State // nil: stale, to be folded anew
	program *plan.Program
	inputs  *plan.Value
	session *plan.Value
	self    *plan.Value               // made when it is read first
	values  map[int]*plan.Value       // decoded outputs by unit
	lists   map[int][]json.RawMessage // what for_each nodes run over
	kept    int                       // bytes in values
	lease   *store.Lease              // nil: somebody else may own it

	doubtful []launch // started by commits of which nobody knows whether they happened; nothing of it was called yet
	changed  bool     // somebody else committed since this process did: the wake may be theirs
	folded   bool     // the state was read anew: children may have been started that nobody here tends
}

func (r *Runtime) newExecution(id string, h head, p *plan.Program) *execution {
	x := &execution{id: id, head: h, values: map[int]*plan.Value{}, lists: map[int][]json.RawMessage{}}
	if p != nil {
		x.setProgram(p, nil)
	}
	return x
}

func (x *execution) setProgram(p *plan.Program, session schemas.Value) {
	x.program = p
	x.inputs = plan.NewValue(json.RawMessage(orElse(p.Definition.Plan.Inputs, "{}")))
	x.session = plan.NewValue(json.RawMessage(orElse(session, "{}")))
}

func orElse[T ~[]byte](b T, otherwise string) T {
	if len(b) == 0 {
		return T(otherwise)
	}
	return b
}

// decision looks at a state and says which events follow from what has happened. It may be asked again with a
// newer state, so it has no effects of its own. An error goes to whoever asked and changes nothing.
type decision func(s *machine.State, now time.Time) ([]schemas.Event, error)

// request is a decision on its way to the owner of an execution.
type request struct {
	decide decision
	err    error
	flight *flight       // the call whose end this is; nil: none
	done   chan struct{} // closed once the decision is committed or refused; nil: nobody waits
}

// launch is a call that the commit just made has started.
type launch struct {
	unit, attempt int
	target        *plan.Target
	inputs        json.RawMessage
	key           string    // the same for every attempt at the same effect
	at            time.Time // of the start
}

// stands tells whether the start is in the log, and the attempt in flight.
func (l *launch) stands(s *machine.State) bool {
	return s.Attempt(l.unit, l.attempt) && s.Units[l.unit].Since.Equal(l.at)
}

// extent says how far a step goes beyond the decisions it was given.
type extent int

const (
	visit   extent = iota // not the owner: whatever has to be started wakes one
	drain                 // an owner that is about to stop: nothing new starts
	wind                  // an owner that stops: nothing new starts, the lease is released
	proceed               // the owner
)

// step is what one commit made of an execution.
type step struct {
	launches []launch
	children []child
	released bool // the lease is gone; whoever owned the execution forgets it
	more     bool // there is more to do at once
	at       time.Time
}

// transition is the one door through which an execution changes. Where this process owns the execution, the owner
// takes the decision into its next commit; else it is committed from here. It returns when the decision is durable.
func (r *Runtime) transition(ctx context.Context, id string, decide decision) error {
	for {
		if o := r.owner(id); o != nil {
			q := &request{decide: decide, done: make(chan struct{})}
			if !o.submit(q) {
				continue // it has just let go
			}
			select {
			case <-q.done:
				if errors.Is(q.err, errLetGo) {
					continue
				}
				return q.err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		x, err := r.load(ctx, id)
		if err != nil {
			return err
		}
		q := &request{decide: decide}
		if _, err = r.step(ctx, x, []*request{q}, visit, store.Batch{}); err != nil {
			return err
		}
		if o := r.owner(id); o != nil { // it began meanwhile, perhaps with what was there before
			o.refresh()
		}
		return q.err
	}
}

// maxConflicts is how often a step is decided anew before it gives up; each conflict means that somebody else made progress.
const maxConflicts = 100

// step decides, applies and commits once. base holds what else belongs into the batch of a new execution; that the execution exists
// is then ErrConflict. The error is the store's; what a decision refused stands in its request.
func (r *Runtime) step(ctx context.Context, x *execution, requests []*request, how extent, base store.Batch) (step, error) {
	for range maxConflicts {
		if x.state == nil {
			if err := r.reload(ctx, x); err != nil {
				return step{}, err
			}
		}
		t := &turn{r: r, x: x, ctx: ctx, how: how, now: r.now(), batch: base}
		t.batch.Puts = slices.Clip(base.Puts)
		var absent []launch
		for _, l := range x.doubtful {
			if l.stands(x.state) {
				t.step.launches = append(t.step.launches, l)
			} else {
				absent = append(absent, l)
			}
		}
		for _, q := range requests {
			q.err = t.decide(q.decide)
		}
		t.advance()
		if t.err != nil {
			x.state = nil
			return step{}, t.err
		}
		err := t.commit()
		if err == nil && !t.committed && how != visit && slices.ContainsFunc(requests, (*request).asked) {
			err = r.current(ctx, x) // nothing was to be done, or everything refused, by a state that may be stale
		}
		switch {
		case err == nil:
			x.doubtful = absent
			if t.committed {
				x.doubtful, x.changed = nil, false
			}
			t.step.launches = slices.DeleteFunc(t.step.launches, func(l launch) bool { return !l.stands(x.state) })
			t.step.at = t.now
			return t.step, nil
		case !errors.Is(err, store.ErrConflict): // it may have happened, now or later
			x.state, x.changed = nil, true
			x.doubtful = slices.Concat(absent, t.step.launches)
			return step{}, storeError(err)
		case len(base.Puts) > 0:
			return step{}, err
		}
		x.state, x.changed = nil, true // what was applied is not in the log
	}
	return step{}, schemas.Errorf(schemas.CodeConflict, "execution %q changes too fast to be changed from here", x.id).WithHint("try again").With(func(e *schemas.Error) { e.Retryable = true })
}

// asked tells whether somebody waits for the decision.
func (q *request) asked() bool { return q.done != nil }

// current is ErrConflict if somebody has changed the execution since its state was read.
func (r *Runtime) current(ctx context.Context, x *execution) error {
	_, version, err := r.readHead(ctx, x.id)
	if err == nil && version != x.version {
		err = store.ErrConflict
	}
	return err
}

// keep caches an output for the expressions that read it.
func (x *execution) keep(unit int, output []byte) *plan.Value {
	x.values[unit] = plan.NewValue(json.RawMessage(output))
	x.kept += len(output)
	return x.values[unit]
}

// maxKept is how many bytes of outputs an execution keeps in memory between two commits; what is dropped is read again.
const maxKept = 16 << 20

// turn is one try of a step.
type turn struct {
	r      *Runtime
	x      *execution
	ctx    context.Context //nolint:containedctx // lives as long as the call to step
	how    extent
	now    time.Time
	batch  store.Batch
	events []schemas.Event
	step   step
	err    error // ends the turn

	committed bool
}

// decide applies what a decision says.
func (t *turn) decide(d decision) error {
	if t.err != nil {
		return t.err
	}
	events, err := d(t.x.state, t.now)
	if err != nil {
		return err
	}
	for _, e := range events {
		t.emit(e)
	}
	return t.err
}

// emit applies one event and takes it into the batch. An event that does not apply is a defect: the turn ends.
func (t *turn) emit(e schemas.Event) {
	if t.err != nil {
		return
	}
	e.Seq, e.At = t.x.state.Seq+1, t.now
	t.external(&e)
	if t.err = t.x.state.Apply(e); t.err == nil {
		t.events = append(t.events, e)
	}
}

// MaxInline is the largest output in bytes that stands in the log itself; larger ones get a record of their own.
const MaxInline = 4 << 10

// external moves a large output out of the event and drops a text that the output tells as well.
func (t *turn) external(e *schemas.Event) {
	if e.Text != "" && derivable(e.Text, e.Output) {
		e.Text = ""
	}
	name, limit, unit := outputNode, schemas.MaxExecutionOutput, -1
	if e.Type != schemas.EventFinished {
		unit, _ = t.x.state.Unit(e.Node, e.Item)
		name, limit = t.x.state.Name(unit), MaxInline
	}
	if e.Patch != nil && len(e.Patch.Output) > limit {
		patch := *e.Patch
		e.Output, patch.Output = patch.Output, nil
		e.Patch = &patch
	}
	if len(e.Output) <= limit {
		return
	}
	t.batch.Puts = append(t.batch.Puts, store.Put{Key: outputKey(t.x.id, name), Value: e.Output, Version: store.AnyVersion})
	e.OutputRef = &schemas.OutputRef{NodeID: name, Bytes: len(e.Output)}
	if unit >= 0 {
		t.x.keep(unit, e.Output)
	}
	e.Output = nil
}

// outputNode stands for the execution's own output where a node id is expected; no node can have this id.
const outputNode = "$output"

// derivable tells whether plan.Value.Text would give the text.
func derivable(text string, output []byte) bool {
	if len(output) == 0 {
		return false
	}
	switch output[0] {
	case '"':
		var s string
		return json.Unmarshal(output, &s) == nil && s == text
	case '{', '[':
		if text[0] != output[0] {
			return false
		}
		var a, b bytes.Buffer
		return json.Compact(&a, []byte(text)) == nil && json.Compact(&b, output) == nil && bytes.Equal(a.Bytes(), b.Bytes())
	}
	return text == string(output)
}

// maxEvents bounds one commit; what is left goes into the next one.
const maxEvents = 512

// advance adds what is due.
func (t *turn) advance() {
	for t.err == nil && len(t.events) < maxEvents {
		before := len(t.events)
		for _, a := range t.x.state.Next(t.now) {
			if t.err != nil {
				return
			}
			switch a.Kind {
			case machine.Emit:
				t.emit(*a.Event)
			case machine.Start:
				if t.how == proceed && !t.x.state.Failing {
					t.start(a.Unit)
				}
			case machine.Undo:
				if t.how == proceed {
					t.undo(a.Unit)
				}
			case machine.Join:
				t.join(a.Unit)
			case machine.Finish:
				t.finish()
			}
		}
		if len(t.events) == before {
			return
		}
	}
	t.step.more = true
}

// hold is how near a timer must be for the owner to keep the execution in memory.
const hold = time.Second

// due is when the execution next needs an owner: now while anything can run or is in flight, zero for never.
func (t *turn) due() time.Time {
	s := t.x.state
	if s.Status == schemas.StatusPending {
		return t.now
	}
	if !s.Status.Terminal() && (s.InFlight() > 0 || t.step.more || len(s.Next(t.now)) > 0) {
		return t.now
	}
	wake := s.Wake(t.now)
	if s.Children() > 0 && !s.Status.Terminal() {
		look := t.now.Add(childPoll)
		if t.how == visit && s.Status == schemas.StatusCancelling {
			look = t.now // an owner has to cancel them
		}
		if wake.IsZero() || look.Before(wake) {
			wake = look
		}
	}
	return wake
}

// commit writes the turn as one batch.
func (t *turn) commit() error {
	x, s := t.x, t.x.state
	wake := t.due()
	switch {
	case t.how == visit:
		t.wake(wake)
		if s.InFlight() > 0 { // somebody makes those calls, perhaps another replica, and has to hear of this
			t.batch.Puts = append(t.batch.Puts, store.Put{Key: nudgeKey(x.id), Version: store.AnyVersion, TTL: nudgeTTL})
		}
	case t.how == wind, len(t.step.children) == 0 && (wake.IsZero() || wake.After(t.now.Add(hold))):
		t.step.released = true
		t.batch.Claim = nil
		t.batch.Release = x.lease
		t.wake(wake)
	case t.batch.Claim != nil, x.changed:
		t.wake(t.now) // if this process dies, whoever comes next finds it due
	}
	if len(t.events) == 0 && !t.step.released && t.batch.Claim == nil {
		return nil
	}
	h := x.head
	tail := h.Tail
	for i := range t.events {
		b, err := json.Marshal(&t.events[i])
		if err != nil {
			return fmt.Errorf("encode event: %w", err)
		}
		tail += len(b)
		t.batch.Appends = append(t.batch.Appends, store.Append{Key: executionKey(x.id), Value: b})
	}
	h.Execution = t.view()
	h.Seq, h.Tail = s.Seq, tail
	if s.Seq-h.Snapshot >= int64(max(snapshotEvery, len(s.Units))) && !s.Status.Terminal() {
		b, err := s.Snapshot()
		if err != nil {
			return err
		}
		h.Snapshot, h.Tail = s.Seq, 0
		t.batch.Puts = append(t.batch.Puts, store.Put{Key: snapshotKey(x.id), Value: b, Version: store.AnyVersion})
	}
	b, err := json.Marshal(&h)
	if err != nil {
		return fmt.Errorf("encode head: %w", err)
	}
	// Without events too: a wake that is written unfenced could undo the one of somebody faster.
	t.batch.Puts = append(t.batch.Puts, store.Put{Key: executionKey(x.id), Value: b, Version: x.version, Terms: h.terms()})
	done, err := t.r.store.Commit(t.ctx, t.batch)
	if err != nil {
		return err
	}
	t.committed = true
	x.head, x.version = h, done.Versions[len(done.Versions)-1]
	if x.kept > maxKept {
		clear(x.values)
		x.kept = 0
	}
	if done.Lease != nil {
		x.lease = done.Lease
	}
	if s.Status.Terminal() && h.ParentID != "" && len(t.events) > 0 {
		t.r.owners.Go(func() { t.r.tellParent(h) })
	}
	if t.r.feed.Watched(x.id) {
		t.r.feed.Publish(telemetry.Update{ExecutionID: x.id, Events: t.events, Execution: h.Execution})
	}
	return nil
}

// nudgeTTL is how long a nudge is kept; only its writing tells anything.
const nudgeTTL = time.Minute

// snapshotEvery is the fewest events between two snapshots.
const snapshotEvery = 256

func (t *turn) wake(at time.Time) {
	t.batch.Wakes = append(t.batch.Wakes, store.Wake{
		Key: executionKey(t.x.id), At: at, Priority: t.x.state.Priority, Fairness: t.x.head.SessionID,
	})
}

// view is the state as the head shows it.
func (t *turn) view() schemas.Execution {
	v := t.x.state.View()
	v.ExecutionID, v.Name, v.SessionID, v.RerunOf, v.ParentID = t.x.id, t.x.head.Name, t.x.head.SessionID, t.x.head.RerunOf, t.x.head.ParentID
	for i := range v.WaitingFor {
		if w := &v.WaitingFor[i]; w.Reason == schemas.ReasonReview {
			unit, _ := t.x.state.Unit(w.NodeID, w.Item)
			w.ReviewID = reviewID(t.x.id, t.x.state.Name(unit))
		}
	}
	return v
}
