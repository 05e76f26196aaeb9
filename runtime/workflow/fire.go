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

// A schedule has a wake at its next firing. Whichever replica claims it takes three steps; a crash between any two of them,
// or another replica that does the same because a lease lapsed, changes nothing of what comes out:
//
//	decide  one commit, by the record's version: which firings become executions, under which ids (orders), which are
//	        skipped or missed, and up to when all of this has been decided
//	make    each order becomes an execution, unless one of its id is there
//	note    one commit: the orders are history, the next wake is the next firing
//
// So no firing is executed twice, and none is lost that was due, but for what catch_up and overlap say. What is due is told by the
// clock of the store alone, which every lease carries: replicas whose clocks differ fire at the same times.

// onTimeWindow is how late a firing may be made and not count as missed.
const onTimeWindow = time.Minute

// fire sees to one schedule. Where it cannot, the lease lapses and somebody tries again.
func (w *Workflows) fire(ctx context.Context, lease *store.Lease) {
	began := time.Now()
	clockOffset := lease.Until.Add(-w.store.Lease()).Sub(records.Now()) // the store's clock of this one
	err := w.store.RetryOnConflict(func() error {
		if time.Since(began) >= w.store.Lease() { // somebody else is at it by now
			return errLeaseExpired
		}
		s, err := w.readSchedule(ctx, lease.Key)
		if err != nil {
			return err
		}
		if !s.exists() { // ended meanwhile; that it still is decides about the wake
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
		w.log.Warn("see to a schedule: trying again", "schedule", lease.Key.ID, "error", err)
	}
}

func (w *Workflows) fireSchedule(ctx context.Context, s *scheduleRecord, lease *store.Lease, clockOffset time.Duration) error {
	if len(s.Orders) == 0 { // else somebody died over them; those come first
		created, err := w.decideFirings(ctx, s, clockOffset)
		if err != nil {
			return err
		}
		if created {
			if err := w.saveSchedule(ctx, s, nil, records.Now().Add(clockOffset)); err != nil {
				return err
			}
		}
	}
	postponed, err := w.makeOrders(ctx, s)
	if err != nil {
		return err
	}
	wake := s.nextFiring()
	now := records.Now().Add(clockOffset)
	if poll := now.Add(executionPoll); len(s.Due) > 0 && (wake.IsZero() || poll.Before(wake)) { // in case nobody tells
		wake = poll
	}
	if postponed > 0 {
		wake = now.Add(postponed)
	}
	return w.saveSchedule(ctx, s, lease, wake)
}

// saveSchedule writes the schedule against the version that was read, with its next wake and, where there is a lease, its release.
// What was decided on outlives a machine before it is made: else it would be decided on once more.
func (w *Workflows) saveSchedule(ctx context.Context, s *scheduleRecord, lease *store.Lease, wake time.Time) error {
	b := store.Batch{Release: lease, Sync: len(s.Orders) > 0}
	if err := s.put(&b, wake); err != nil {
		return err
	}
	done, err := w.store.Commit(ctx, b)
	if err != nil {
		return records.Error(err)
	}
	s.stored = done.Versions[0]
	return nil
}

// decideFirings decides on everything that is due: true when an execution has to be made.
func (w *Workflows) decideFirings(ctx context.Context, s *scheduleRecord, clockOffset time.Duration) (bool, error) {
	ctx = caller.With(ctx, caller.Caller{Principal: s.Principal})
	due, err := w.dueFirings(ctx, s, clockOffset)
	if err != nil || len(due) == 0 && len(s.Due) == 0 {
		return false, err
	}
	r, err := w.readExisting(ctx, s.Workflow)
	if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) { // deleted, and its schedule with it
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

// dueFirings are the firings to decide on now, oldest first: those on time, and of the missed ones as many as are made up.
func (w *Workflows) dueFirings(ctx context.Context, s *scheduleRecord, clockOffset time.Duration) ([]time.Time, error) {
	times, err := s.times()
	if err != nil {
		return nil, err
	}
	now := records.Now().Add(clockOffset)
	if next := s.nextFiring(); len(s.Due) == 0 && now.Before(next) { // the store's clock was set back
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(min(next.Sub(now), time.Second)):
		}
		now = records.Now().Add(clockOffset)
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

// lastIsOpen tells whether the last execution of the schedule has not ended.
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

// makeOrders makes the executions that were decided on. What cannot be made now, as the queue is full or a realm is not there,
// stays an order: postponed says in how long to come back.
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
		case ctx.Err() != nil || errors.Is(err, records.Unavailable) || errors.Is(err, store.ErrConflict):
			return 0, err
		case e.Retryable || slices.ContainsFunc(e.Findings, realmUnavailable):
			w.log.Warn("execute a workflow by its schedule: trying again", "workflow", s.Workflow, "at", o.At, "error", err)
			return max(orderRetryDelay, time.Duration(e.RetryAfterSeconds*float64(time.Second))), nil
		default:
			w.log.Error("a workflow cannot be executed by its schedule", "workflow", s.Workflow, "at", o.At, "error", err)
			f.Outcome, f.ExecutionID, f.Error = schemas.FiringFailed, "", e
		}
		s.addFiring(f)
		s.Orders = s.Orders[1:]
	}
	return 0, nil
}

// orderRetryDelay is when what could not be made is tried again.
const orderRetryDelay = 5 * time.Second

func realmUnavailable(f schemas.Finding) bool { return f.Code == plan.CodeRealmUnavailable }

var errLeaseExpired = errors.New("the lease has lapsed")

// makeOrder makes an execution, unless it is made already, or the schedule was paused before.
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

// Committed is the hook of package engine: a schedule learns that its execution has ended.
func (w *Workflows) Committed(c journal.Commit) {
	if c.Head.Status.Terminal() && c.Head.ScheduledAt != nil && len(c.Events) > 0 {
		name, _, _ := strings.Cut(c.Head.Workflow, "@")
		w.endedSchedules.Add(ScheduleKey(c.Head.Principal, name)) // one that does not fit looks for itself
	}
}

// handleEnded has a schedule looked at of which an execution has ended, where a firing waits for that.
func (w *Workflows) handleEnded(key store.Key) {
	ctx, cancel := context.WithTimeout(context.Background(), executionPoll)
	defer cancel()
	s, err := w.readSchedule(ctx, key)
	if err == nil && len(s.Due) > 0 {
		_, err = w.store.Commit(ctx, store.Batch{Wakes: []store.Wake{{Key: key, At: records.Now()}}})
	}
	if err != nil {
		w.log.Warn("look at a schedule of which an execution has ended: it is looked at again later", "schedule", key.ID, "error", err)
	}
}

// executionPoll is how often a schedule looks whether its execution has ended, in case it was not told.
const executionPoll = 30 * time.Second
