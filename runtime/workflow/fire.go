package workflow

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// A schedule has a wake at its next firing. The replica that claims it takes three steps. A crash between two of them, or another
// replica that takes them too because a lease expired, does not change the result:
//
//	decide  one commit, by the record's version: which firings become executions, under which ids (orders), which are
//	        skipped or missed, and up to which time all of this is decided
//	make    each order becomes an execution, unless one with its id exists
//	note    one commit: the orders become history, the next wake is the next firing
//
// So no firing is executed twice, and none that was due is lost, except as catch_up and overlap say. What is due is decided by the time of
// day of the store: of a shared one its clock, which every lease carries, so that replicas whose clocks differ fire at the same times; of an
// embedded one the clock of the machine, which a firing follows at once when it is set ahead.

// onTimeWindow is how late a firing may be decided on without counting as missed.
const onTimeWindow = time.Minute

// fire handles one schedule that is due. If it cannot, the lease expires, and the schedule is due again.
func (w *Workflows) fire(ctx context.Context, lease *store.Lease) {
	began := time.Now()
	clockOffset := lease.Until.Add(-w.store.Lease()).Sub(w.store.Now()) // how far the store's clock is ahead of this one
	err := w.store.RetryOnConflict(func() error {
		if time.Since(began) >= w.store.Lease() { // another replica may handle it by now
			return errLeaseExpired
		}
		s, err := w.readSchedule(ctx, lease.Key)
		if err != nil {
			return err
		}
		if !s.exists() { // it was ended meanwhile; the put makes sure that it still is when its wake is removed
			b := store.Batch{Release: lease}
			if err := s.putEnd(&b, lease.Key); err != nil {
				return err
			}
			_, err = w.store.Commit(ctx, b)
			return err
		}
		return w.fireSchedule(ctx, &s, lease, clockOffset)
	})
	if err != nil && ctx.Err() == nil {
		w.log.Warn("fire a schedule: trying again", "schedule", lease.Key.ID, "error", err)
	}
}

func (w *Workflows) fireSchedule(ctx context.Context, s *scheduleRecord, lease *store.Lease, clockOffset time.Duration) error {
	if len(s.Orders) == 0 { // otherwise a replica died before it made them; they come first
		created, err := w.decideFirings(ctx, s, clockOffset)
		if err != nil {
			return err
		}
		if created {
			if err := w.saveSchedule(ctx, s, nil, w.store.Day().Add(clockOffset)); err != nil {
				return err
			}
		}
	}
	postponed, err := w.makeOrders(ctx, s)
	if err != nil {
		return err
	}
	wake := s.nextFiring()
	now := w.store.Day().Add(clockOffset)
	if poll := now.Add(executionPoll); len(s.Due) > 0 && (wake.IsZero() || poll.Before(wake)) { // in case the notification is missed
		wake = poll
	}
	if postponed > 0 {
		wake = now.Add(postponed)
	}
	return w.saveSchedule(ctx, s, lease, wake)
}

// saveSchedule writes the schedule against the version that was read, with its next wake, and releases the lease if it is not nil. Orders
// are written durably before they are made: if they were lost they would be decided on again.
func (w *Workflows) saveSchedule(ctx context.Context, s *scheduleRecord, lease *store.Lease, wake time.Time) error {
	b := store.Batch{Release: lease, Sync: len(s.Orders) > 0}
	if err := s.put(&b, wake); err != nil {
		return err
	}
	done, err := w.store.Commit(ctx, b)
	if err != nil {
		return records.StoreError(err)
	}
	s.stored = done.Versions[0]
	return nil
}

// decideFirings decides on everything that is due. It reports whether there are orders to be made.
func (w *Workflows) decideFirings(ctx context.Context, s *scheduleRecord, clockOffset time.Duration) (bool, error) {
	ctx = caller.With(ctx, caller.Caller{Principal: s.Principal})
	due, err := w.dueFirings(ctx, s, clockOffset)
	if err != nil || len(due) == 0 && len(s.Due) == 0 {
		return false, err
	}
	r, err := w.readExisting(ctx, s.Workflow)
	if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) { // the workflow was deleted, and its schedule with it
		err = store.ErrConflict
	}
	if err != nil {
		return false, err
	}
	open, err := w.lastIsOpen(ctx, s)
	if err != nil {
		return false, err
	}
	execute := func(at time.Time) {
		s.Orders = append(s.Orders, order{At: at, ExecutionID: w.newID(), Version: r.Version})
		open = true
	}
	for _, at := range due {
		switch {
		case s.Overlap == schemas.OverlapQueue:
			s.Due = append(s.Due, at)
		case open && s.Overlap != schemas.OverlapAllow:
			s.addFiring(schemas.Firing{At: at, Outcome: schemas.FiringSkipped})
		default:
			execute(at)
		}
	}
	if n := len(s.Due) - MaxDue; n > 0 {
		s.addFiring(schemas.Firing{At: s.Due[n-1], Outcome: schemas.FiringMissed})
		s.Due = s.Due[n:]
	}
	if len(s.Due) > 0 && !open {
		execute(s.Due[0])
		s.Due = s.Due[1:]
	}
	return len(s.Orders) > 0, nil
}

// dueFirings returns the firings to decide on now, oldest first: those on time, and the last catch_up of the missed ones.
func (w *Workflows) dueFirings(ctx context.Context, s *scheduleRecord, clockOffset time.Duration) ([]time.Time, error) {
	times, err := s.times()
	if err != nil {
		return nil, err
	}
	now := w.store.Day().Add(clockOffset)
	if next := s.nextFiring(); len(s.Due) == 0 && now.Before(next) { // the store's clock was set back
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(min(next.Sub(now), time.Second)):
		}
		now = w.store.Day().Add(clockOffset)
	}
	if s.Paused || !s.Decided.Before(now) {
		return nil, nil
	}
	onTime := now.Add(-onTimeWindow)
	missed := times.Newest(s.Decided, onTime, s.catchUp()+1)
	if n := len(missed) - s.catchUp(); n > 0 {
		s.addFiring(schemas.Firing{At: missed[n-1], Outcome: schemas.FiringMissed})
		missed = missed[n:]
	}
	if onTime.Before(s.Decided) {
		onTime = s.Decided
	}
	s.Decided = now
	return append(missed, times.Newest(onTime, now, int(onTimeWindow/time.Second))...), nil
}

// lastIsOpen reports whether the last execution of the schedule has not ended.
func (w *Workflows) lastIsOpen(ctx context.Context, s *scheduleRecord) (bool, error) {
	if s.Latest == "" {
		return false, nil
	}
	h, _, err := w.journal.ReadHead(ctx, s.Latest)
	if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		return false, nil
	}
	return err == nil && !h.Status.Terminal(), err
}

// makeOrders creates the executions that were decided on. If one cannot be created now, as the queue is full or a realm is unavailable, it
// stays an order, and postponed is after how long to try again.
func (w *Workflows) makeOrders(ctx context.Context, s *scheduleRecord) (postponed time.Duration, err error) {
	ctx = caller.With(ctx, caller.Caller{Principal: s.Principal})
	for len(s.Orders) > 0 {
		o := s.Orders[0]
		f := schemas.Firing{At: o.At, Outcome: schemas.FiringExecuted, ExecutionID: o.ExecutionID}
		made, err := w.makeOrder(ctx, s, o)
		switch e := schemas.AsError(err); {
		case err == nil && !made:
			f.Outcome, f.ExecutionID = schemas.FiringSkipped, ""
		case err == nil:
		case ctx.Err() != nil || errors.Is(err, records.ErrUnavailable) || errors.Is(err, store.ErrConflict):
			return 0, err
		case e.Retryable || slices.ContainsFunc(e.Findings, realmUnavailable):
			w.log.Warn("create the execution of a schedule: trying again", "workflow", s.Workflow, "at", o.At, "error", err)
			return max(orderRetryDelay, e.RetryAfter()), nil
		default:
			w.log.Error("create the execution of a schedule: the firing failed", "workflow", s.Workflow, "at", o.At, "error", err)
			f.Outcome, f.ExecutionID, f.Error = schemas.FiringFailed, "", e
		}
		s.addFiring(f)
		s.Orders = s.Orders[1:]
	}
	return 0, nil
}

// orderRetryDelay is after how long an execution that could not be created is tried again, at the earliest.
const orderRetryDelay = 5 * time.Second

func realmUnavailable(f schemas.Finding) bool { return f.Code == plan.CodeRealmUnavailable }

var errLeaseExpired = errors.New("the lease may have expired")

// makeOrder creates the execution of an order, unless the schedule is paused; made reports whether it exists.
func (w *Workflows) makeOrder(ctx context.Context, s *scheduleRecord, o order) (made bool, err error) {
	if _, err := w.journal.HeadFor(ctx, o.ExecutionID); !errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
		return err == nil, err
	}
	if s.Paused {
		return false, nil
	}
	_, err = w.Execute(ctx, s.Workflow, o.Version, engine.Submit{Inputs: s.Inputs, ID: o.ExecutionID, ScheduledAt: &o.At})
	return err == nil, err
}

// Committed implements engine.Observer: a schedule is notified that its execution has ended.
func (w *Workflows) Committed(c journal.Commit) {
	if c.Head.Status.Terminal() && c.Head.ScheduledAt != nil && len(c.Events) > 0 {
		name, _, _ := strings.Cut(c.Head.Workflow, "@")
		key := ScheduleKey(c.Head.Principal, name)
		c.Background(func(ctx context.Context) { w.handleEnded(ctx, key) })
	}
}

// handleEnded makes a schedule due of which an execution has ended, if a firing waits for that.
func (w *Workflows) handleEnded(ctx context.Context, key store.Key) {
	s, err := w.readSchedule(ctx, key)
	if err == nil && len(s.Due) > 0 {
		_, err = w.store.Commit(ctx, store.Batch{Wakes: []store.Wake{{Key: key, At: w.store.Now()}}})
	}
	if err != nil && ctx.Err() == nil {
		w.log.Warn("notify a schedule that its execution has ended: it polls later", "schedule", key.ID, "error", err)
	}
}

// executionPoll is how often a schedule with firings that wait reads whether its execution has ended, in case it was not notified.
const executionPoll = 30 * time.Second
