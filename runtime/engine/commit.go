package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// commit writes the turn as one batch. A turn that changes nothing is not written.
func (t *turn) commit() error {
	h := t.x.Head
	t.head = &h
	for _, c := range t.x.companions {
		c.prepare(t)
	}
	t.schedule()
	if len(t.events) == 0 && !t.result.released && t.batch.Claim == nil && !t.x.unconfirmed && !t.x.marked {
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
		o.Committed(journal.Commit{Runner: t, Head: t.head, Events: t.events})
	}
	return nil
}

// nearTimer is how near a timer must be for the owner to keep the execution in memory.
const nearTimer = time.Second

// nudgeTTL is how long a nudge is kept. A nudge has no content: that it is written is the message.
const nudgeTTL = time.Minute

// schedule decides whether the lease is released, and when the execution is next due.
func (t *turn) schedule() {
	x, s := t.x, t.x.State
	wake := t.due()
	switch {
	case t.mode == guest:
		t.wake(wake)
		if t.nudgeOwner || s.InFlight() > 0 { // the owner may be on another replica
			t.batch.Puts = append(t.batch.Puts, store.Put{Key: journal.NudgeKey(x.ID), Version: store.AnyVersion, TTL: nudgeTTL})
		}
	case t.mode == releasing, !t.keepOwner && (wake.IsZero() || wake.After(t.now.Add(nearTimer)) && !t.claimedEarly(wake)):
		t.result.released = true
		t.batch.Claim = nil
		t.batch.Release = x.leaseToRelease()
		t.wake(wake)
	case t.batch.Claim != nil, x.changed, x.Head.Priority != s.Priority:
		t.wake(t.now) // if this process dies, the next replica finds it due
	}
}

// due returns when the execution next needs an owner: now while anything can run or is in flight, zero for never.
func (t *turn) due() time.Time {
	s := t.x.State
	switch {
	case s.Status == schemas.StatusPending:
		return s.Created // keeps its place in the queue
	case s.Status.Terminal():
		return s.Wake(t.now)
	case s.InFlight() > 0 || t.result.more || t.x.allowance.roomless == nil && len(s.Next(t.now)) > 0:
		return t.now
	}
	return earliest(s.Wake(t.now), t.ownerNeeded)
}

// needOwner is called by a companion that needs an owner at the time, or before.
func (t *turn) needOwner(at time.Time) { t.ownerNeeded = earliest(t.ownerNeeded, at) }

// claimedEarly reports whether the execution was claimed for a wake that is still to come: the store's clock is ahead of this one. If it
// were released it would be claimed again at once, until the clocks agree; so it stays in memory until then.
func (t *turn) claimedEarly(wake time.Time) bool {
	return t.x.claimed && wake.Equal(t.x.Head.Due) && wake.After(t.now)
}

// wake sets when the execution is next due.
func (t *turn) wake(at time.Time) {
	t.head.Due = at
	t.batch.Wakes = append(t.batch.Wakes, store.Wake{
		Key: journal.ExecutionKey(t.x.ID), At: at, Priority: t.x.State.Priority, Fairness: t.x.Head.Fairness(),
	})
}

// snapshotEvery is the smallest number of events between two snapshots.
const snapshotEvery = 256

// encode puts the events, the head, and a snapshot if enough events have followed the last one, into the batch. The head is written even
// without events: its version keeps the wake of this batch from replacing the wake of another replica that committed first.
func (t *turn) encode() error {
	const usualBytes = 512 // of an event or a head; others grow
	x, s := t.x, t.x.State
	for i := range t.events {
		b, err := t.events[i].AppendJSON(make([]byte, 0, usualBytes))
		if err != nil {
			return fmt.Errorf("encode event: %w", err)
		}
		t.head.Tail += len(b)
		t.batch.Appends = append(t.batch.Appends, store.Append{Key: journal.ExecutionKey(x.ID), Value: b})
	}
	t.head.Execution = t.view()
	t.head.Seq, t.head.WithParent, t.head.Items = s.Seq, s.WithParent, t.itemsToHold()
	t.setWorker()
	if s.Seq-t.head.Snapshot >= int64(max(snapshotEvery, len(s.Units))) && !s.Status.Terminal() {
		b, err := s.Snapshot()
		if err != nil {
			return err
		}
		t.head.Snapshot, t.head.SnapshotBytes, t.head.Tail = s.Seq, len(b), 0
		t.batch.Puts = append(t.batch.Puts, store.Put{Key: journal.SnapshotKey(x.ID), Value: b, Version: store.AnyVersion})
	}
	b, err := t.head.AppendJSON(make([]byte, 0, usualBytes))
	if err != nil {
		return fmt.Errorf("encode head: %w", err)
	}
	t.batch.Puts = append(t.batch.Puts, store.Put{Key: journal.ExecutionKey(x.ID), Value: b, Version: x.Version, Terms: t.head.Terms()})
	return nil
}

// setWorker notes in the head whether the execution keeps this owner. The commit ends what a mark was about.
func (t *turn) setWorker() {
	h := t.head
	if t.mode != guest {
		if h.Worker = t.r.worker; t.result.released || t.x.State.Status.Terminal() {
			h.Worker = ""
		}
	}
	if t.mode != guest || t.x.marked {
		h.Evaluating = nil
	}
	if t.x.State.Recoveries == 0 {
		h.Deaths = 0
	}
}

// view returns the state as the head shows it.
func (t *turn) view() schemas.Execution {
	v := journal.View(t.x.State)
	v.ExecutionID, v.Name, v.SessionID, v.RerunOf, v.ParentID = t.x.ID, t.x.Head.Name, t.x.Head.SessionID, t.x.Head.RerunOf, t.x.Head.ParentID
	v.Workflow, v.ScheduledAt = t.x.Head.Workflow, t.x.Head.ScheduledAt
	if w := t.x.allowance.roomless; w != nil && !v.Status.Terminal() {
		v.Waiting, v.WaitingFor = v.Waiting || t.x.State.InFlight() == 0, append(v.WaitingFor, *w)
	}
	for i := range v.WaitingFor {
		if w := &v.WaitingFor[i]; w.Reason == schemas.ReasonReview {
			unit, _ := t.x.State.Unit(w.NodeID, w.Item)
			w.ReviewID = journal.ReviewID(t.x.ID, t.x.State, unit)
		}
	}
	return v
}

// Background is [journal.Runner], for companions and observers, after a commit: it runs f without waiting for it. [Engine.Run] waits for
// f, as an owner that runs has Run wait already. If Run may be waiting for its last owner, which a guest cannot know, it is too late for
// that, and f runs here.
func (t *turn) Background(f func(ctx context.Context)) {
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
			f(r.storeCtx)
			return
		}
	}
	r.owners.Go(func() { f(r.storeCtx) })
}
