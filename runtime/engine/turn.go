package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// turn is one try of a step.
type turn struct {
	r      *Engine
	x      *execution
	ctx    context.Context //nolint:containedctx // lives as long as the call to step
	how    extent
	now    time.Time
	batch  store.Batch
	events []schemas.Event
	step   step
	err    error // ends the turn

	orphans []string // children that nobody waits for any more

	committed bool
}

// decide applies what a decision says.
func (t *turn) decide(d Decision) error {
	if t.err != nil {
		return t.err
	}
	events, err := d(t.x.State, t.now)
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
	e.Seq, e.At = t.x.State.Seq+1, t.now
	t.external(&e)
	t.batch.Sync = t.batch.Sync || vital(t.x.State, &e)
	t.step.follow = t.step.follow || (e.Type == schemas.EventSuspending || e.Type == schemas.EventResumed) && t.x.State.Children() > 0
	t.step.look = t.step.look || e.State != nil || e.Type == schemas.EventResumed
	t.x.unlooked = t.x.unlooked || t.step.look
	if t.err = t.letGo(&e, func() error { return t.x.State.Apply(e) }); t.err == nil {
		t.events = append(t.events, e)
	}
}

// MaxInline is the largest output in bytes that stands in the log itself; larger ones get a record of their own.
const MaxInline = 4 << 10

// external moves what is large out of the event, and drops a text that the output tells as well.
func (t *turn) external(e *schemas.Event) {
	if e.Text != "" && derivable(e.Text, e.Output) {
		e.Text = ""
	}
	name, limit, unit := journal.OutputNode, schemas.MaxExecutionOutput, -1
	if machine.AboutNode(e.Type) {
		unit, _ = t.x.State.Unit(e.Node, e.Item)
		name, limit = t.x.State.Name(unit), MaxInline
	}
	if len(e.Text) > MaxInline && e.Type != schemas.EventNodeHeld { // of which it is the question
		t.x.KeepText(unit, e.Text)
		e.TextRef, e.Text = t.aside(name+journal.TextPart, []byte(e.Text)), ""
	}
	if e.Patch != nil && len(e.Patch.Output) > limit {
		patch := *e.Patch
		e.Output, patch.Output = patch.Output, nil
		e.Patch = &patch
	}
	if len(e.Data) > MaxInline && unit >= 0 && e.Type != schemas.EventReviewDecided { // of which the next event may be the call
		e.DataRef, e.Data = t.aside(fmt.Sprintf("%s$%d", name, e.Seq), e.Data), nil
	}
	if len(e.Output) <= limit {
		return
	}
	e.OutputRef = t.aside(name, e.Output)
	if unit >= 0 {
		t.x.Keep(unit, e.Output)
	}
	e.Output = nil
}

// aside puts what is large into a record of its own.
func (t *turn) aside(name string, value []byte) *schemas.OutputRef {
	t.batch.Puts = append(t.batch.Puts, store.Put{Key: journal.OutputKey(t.x.ID, name), Value: value, Version: store.AnyVersion})
	return &schemas.OutputRef{NodeID: name, Bytes: len(value)}
}

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
		for _, a := range t.x.State.Next(t.now) {
			if t.err != nil {
				return
			}
			switch a.Kind {
			case machine.Emit:
				t.emit(*a.Event)
			case machine.Start:
				if t.how == proceed && !t.x.State.Failing {
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
	s := t.x.State
	if s.Status == schemas.StatusPending {
		return s.Created // which keeps its place among those that came later
	}
	if !s.Status.Terminal() && (s.InFlight() > 0 || t.step.more || len(s.Next(t.now)) > 0 || t.looks()) {
		return t.now
	}
	wake := s.Wake(t.now)
	if s.Children() > 0 && !s.Status.Terminal() && s.Status != schemas.StatusSuspended { // resume looks after them again
		look := t.now.Add(childPoll)
		if t.how == visit && (s.Status == schemas.StatusCancelling || t.step.follow) {
			look = t.now // an owner has to tell them
		}
		if wake.IsZero() || look.Before(wake) {
			wake = look
		}
	}
	return wake
}

// early tells whether the execution was claimed for a wake that is yet to come: the store's clock is ahead of this one. Released, it would be
// claimed again at once, and so on until the clocks agree; so it stays in memory until then.
func (t *turn) early(wake time.Time) bool {
	return t.x.claimed && wake.Equal(t.x.Head.Due) && wake.After(t.now)
}

// commit writes the turn as one batch.
func (t *turn) commit() error {
	x, s := t.x, t.x.State
	wake := t.due()
	switch {
	case t.how == visit:
		t.wake(wake)
		if s.InFlight()+s.Children() > 0 { // somebody looks after those, perhaps another replica, and has to hear of this
			t.batch.Puts = append(t.batch.Puts, store.Put{Key: journal.NudgeKey(x.ID), Version: store.AnyVersion, TTL: nudgeTTL})
		}
	case t.how == wind, len(t.step.children) == 0 && (wake.IsZero() || wake.After(t.now.Add(hold)) && !t.early(wake)):
		t.step.released = true
		t.batch.Claim = nil
		t.batch.Release = x.lease
		t.wake(wake)
	case t.batch.Claim != nil, x.changed, x.Head.Priority != s.Priority:
		t.wake(t.now) // if this process dies, whoever comes next finds it due
	}
	if len(t.events) == 0 && !t.step.released && t.batch.Claim == nil && !x.unconfirmed {
		return nil
	}
	h := x.Head
	tail := h.Tail
	for i := range t.events {
		b, err := schemas.Encode(&t.events[i])
		if err != nil {
			return fmt.Errorf("encode event: %w", err)
		}
		tail += len(b)
		t.batch.Appends = append(t.batch.Appends, store.Append{Key: journal.ExecutionKey(x.ID), Value: b})
	}
	h.Execution = t.view()
	h.Seq, h.Tail, h.WithParent = s.Seq, tail, s.WithParent
	h.Awaits = journal.Awaits(h.Principal, s)
	if n := len(t.batch.Wakes); n > 0 {
		h.Due = t.batch.Wakes[n-1].At
	}
	t.expires()
	if s.Seq-h.Snapshot >= int64(max(snapshotEvery, len(s.Units))) && !s.Status.Terminal() {
		b, err := s.Snapshot()
		if err != nil {
			return err
		}
		h.Snapshot, h.Tail = s.Seq, 0
		t.batch.Puts = append(t.batch.Puts, store.Put{Key: journal.SnapshotKey(x.ID), Value: b, Version: store.AnyVersion})
	}
	b, err := schemas.Encode(&h)
	if err != nil {
		return fmt.Errorf("encode head: %w", err)
	}
	// Without events too: a wake that is written unfenced could undo the one of somebody faster.
	t.batch.Puts = append(t.batch.Puts, store.Put{Key: journal.ExecutionKey(x.ID), Value: b, Version: x.Version, Terms: h.Terms()})
	sent := time.Now()
	done, err := t.r.store.Commit(t.ctx, t.batch)
	if err != nil {
		return err
	}
	t.committed = true
	x.Head, x.Version = h, done.Versions[len(done.Versions)-1]
	x.seen.Store(&h)
	x.memory.add(&t.batch, mark{x.Version, s.Seq}, t.r.limits.MaxMemory)
	x.Trim()
	if done.Lease != nil {
		x.lease, x.sent = done.Lease, sent
	}
	if h.ParentID != "" && slices.ContainsFunc(t.events, rests) {
		t.pass(func() { t.r.tellParent(h) })
	}
	for _, id := range t.orphans {
		undo := s.Undo
		t.pass(func() { t.r.cancelChild(h, id, undo) })
	}
	for _, o := range t.r.observers {
		o.Committed(journal.Commit{Head: h, Events: t.events})
	}
	return nil
}

// pass passes on to another execution what was committed, and does not wait for it. Run does, which an owner has waiting for
// it already; who comes by while Run waits for the last of them would come too late, and does it himself.
func (t *turn) pass(on func()) {
	r := t.r
	if t.how == visit {
		r.mu.Lock()
		stopping := r.stopping
		if !stopping {
			r.owners.Add(1)
			defer r.owners.Done()
		}
		r.mu.Unlock()
		if stopping {
			on()
			return
		}
	}
	r.owners.Go(on)
}

// rests tells whether an event brings an execution to rest: its parent hears of it.
func rests(e schemas.Event) bool {
	return e.Type == schemas.EventFinished || e.Type == schemas.EventSuspended
}

// nudgeTTL is how long a nudge is kept; only its writing tells anything.
const nudgeTTL = time.Minute

// snapshotEvery is the fewest events between two snapshots.
const snapshotEvery = 256

func (t *turn) wake(at time.Time) {
	t.batch.Wakes = append(t.batch.Wakes, store.Wake{
		Key: journal.ExecutionKey(t.x.ID), At: at, Priority: t.x.State.Priority, Fairness: t.x.Head.Fairness(),
	})
}

// view is the state as the head shows it.
func (t *turn) view() schemas.Execution {
	v := t.x.State.View()
	v.ExecutionID, v.Name, v.SessionID, v.RerunOf, v.ParentID = t.x.ID, t.x.Head.Name, t.x.Head.SessionID, t.x.Head.RerunOf, t.x.Head.ParentID
	v.Workflow, v.ScheduledAt = t.x.Head.Workflow, t.x.Head.ScheduledAt
	for i := range v.WaitingFor {
		if w := &v.WaitingFor[i]; w.Reason == schemas.ReasonReview {
			unit, _ := t.x.State.Unit(w.NodeID, w.Item)
			w.ReviewID = journal.ReviewID(t.x.ID, t.x.State, unit)
		}
	}
	return v
}
