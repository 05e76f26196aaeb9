package engine

import (
	"context"
	"fmt"
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
	mode   mode
	now    time.Time
	batch  store.Batch
	head   journal.Head // as it is committed
	events []schemas.Event
	result stepResult
	err    error // ends the turn

	ownerNeeded time.Time // when a companion needs an owner at the latest; zero: none does
	keepOwner   bool      // a companion needs the owner after the commit
	nudgeOwner  bool      // another replica may have to hear of the commit

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
	t.storeLarge(&e)
	t.batch.Sync = t.batch.Sync || mustSync(t.x.State, &e)
	var applied [4]func() // one for each companion
	after := applied[:0]
	for _, c := range t.x.companions {
		if f := c.applying(t, &e); f != nil {
			after = append(after, f)
		}
	}
	if t.err = t.x.State.Apply(e); t.err != nil {
		return
	}
	t.events = append(t.events, e)
	for _, f := range after {
		f()
	}
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
				if t.mode == running && !t.x.State.Failing {
					t.start(a.Unit)
				}
			case machine.Undo:
				if t.mode == running {
					t.undo(a.Unit)
				}
			case machine.Join:
				t.joinItems(a.Unit)
			case machine.Finish:
				t.finish()
			}
		}
		if len(t.events) == before {
			return
		}
	}
	t.result.more = true
}

// nearTimer is how near a timer must be for the owner to keep the execution in memory.
const nearTimer = time.Second

// due is when the execution next needs an owner: now while anything can run or is in flight, zero for never.
func (t *turn) due() time.Time {
	s := t.x.State
	switch {
	case s.Status == schemas.StatusPending:
		return s.Created // which keeps its place among those that came later
	case s.Status.Terminal():
		return s.Wake(t.now)
	case s.InFlight() > 0 || t.result.more || len(s.Next(t.now)) > 0:
		return t.now
	}
	return earliest(s.Wake(t.now), t.ownerNeeded)
}

// needOwner says that a companion needs an owner at the time, or before.
func (t *turn) needOwner(at time.Time) { t.ownerNeeded = earliest(t.ownerNeeded, at) }

// claimedEarly tells whether the execution was claimed for a wake that is yet to come: the store's clock is ahead of this one. Released, it would be
// claimed again at once, and so on until the clocks agree; so it stays in memory until then.
func (t *turn) claimedEarly(wake time.Time) bool {
	return t.x.claimed && wake.Equal(t.x.Head.Due) && wake.After(t.now)
}

// commit writes the turn as one batch.
func (t *turn) commit() error {
	t.head = t.x.Head
	for _, c := range t.x.companions {
		c.prepare(t)
	}
	t.schedule()
	if len(t.events) == 0 && !t.result.released && t.batch.Claim == nil && !t.x.unconfirmed {
		return nil
	}
	if err := t.encode(); err != nil {
		return err
	}
	sent := time.Now()
	done, err := t.r.store.Commit(t.ctx, t.batch)
	if err != nil {
		return err
	}
	t.committed = true
	t.x.committed(t.head, done, sent)
	for _, c := range t.x.companions {
		c.committed(t)
	}
	for _, o := range t.r.observers {
		o.Committed(journal.Commit{Head: t.head, Events: t.events})
	}
	return nil
}

// schedule decides whether the lease is released, and when the execution is next due.
func (t *turn) schedule() {
	x, s := t.x, t.x.State
	wake := t.due()
	switch {
	case t.mode == guest:
		t.wake(wake)
		if t.nudgeOwner || s.InFlight() > 0 { // the owner, perhaps on another replica, has to hear of this
			t.batch.Puts = append(t.batch.Puts, store.Put{Key: journal.NudgeKey(x.ID), Version: store.AnyVersion, TTL: nudgeTTL})
		}
	case t.mode == releasing, !t.keepOwner && (wake.IsZero() || wake.After(t.now.Add(nearTimer)) && !t.claimedEarly(wake)):
		t.result.released = true
		t.batch.Claim = nil
		t.batch.Release = x.lease
		t.wake(wake)
	case t.batch.Claim != nil, x.changed, x.Head.Priority != s.Priority:
		t.wake(t.now) // if this process dies, the next replica finds it due
	}
}

// wake sets when the execution is next due.
func (t *turn) wake(at time.Time) {
	t.head.Due = at
	t.batch.Wakes = append(t.batch.Wakes, store.Wake{
		Key: journal.ExecutionKey(t.x.ID), At: at, Priority: t.x.State.Priority, Fairness: t.x.Head.Fairness(),
	})
}

// encode puts the events, a snapshot where the log has outgrown the last one, and the head into the batch. The head is written without
// events too: a wake that is written unfenced could undo the one of a faster replica.
func (t *turn) encode() error {
	x, s := t.x, t.x.State
	for i := range t.events {
		b, err := schemas.Encode(&t.events[i])
		if err != nil {
			return fmt.Errorf("encode event: %w", err)
		}
		t.head.Tail += len(b)
		t.batch.Appends = append(t.batch.Appends, store.Append{Key: journal.ExecutionKey(x.ID), Value: b})
	}
	t.head.Execution = t.view()
	t.head.Seq, t.head.WithParent = s.Seq, s.WithParent
	if s.Seq-t.head.Snapshot >= int64(max(snapshotEvery, len(s.Units))) && !s.Status.Terminal() {
		b, err := s.Snapshot()
		if err != nil {
			return err
		}
		t.head.Snapshot, t.head.Tail = s.Seq, 0
		t.batch.Puts = append(t.batch.Puts, store.Put{Key: journal.SnapshotKey(x.ID), Value: b, Version: store.AnyVersion})
	}
	b, err := schemas.Encode(&t.head)
	if err != nil {
		return fmt.Errorf("encode head: %w", err)
	}
	t.batch.Puts = append(t.batch.Puts, store.Put{Key: journal.ExecutionKey(x.ID), Value: b, Version: x.Version, Terms: t.head.Terms()})
	return nil
}

// committed takes note of what was committed.
func (x *execution) committed(h journal.Head, done store.Committed, sent time.Time) {
	x.Head, x.Version = h, done.Versions[len(done.Versions)-1]
	x.latest.Store(&h)
	x.Trim()
	if done.Lease != nil {
		x.lease, x.leaseSent = done.Lease, sent
	}
}

// background passes on to another execution what was committed, and does not wait for it. Run does, which an owner has waiting for
// it already; who comes by while Run waits for the last of them would come too late, and does it himself.
func (t *turn) background(on func()) {
	r := t.r
	if t.mode == guest {
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

// nudgeTTL is how long a nudge is kept; only its writing tells anything.
const nudgeTTL = time.Minute

// snapshotEvery is the fewest events between two snapshots.
const snapshotEvery = 256

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
