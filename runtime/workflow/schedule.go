package workflow

import (
	"bytes"
	"context"
	"time"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/schedule"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// putSchedule adds the wanted schedule of a workflow to b: nil leaves it as it is, an empty one ends it. Its inputs must be valid for the
// version. changed reports whether there is something to write; next is the next firing.
func (w *Workflows) putSchedule(
	ctx context.Context, r *record, wanted *schemas.Schedule, version *version, b *store.Batch,
) (changed bool, next *time.Time, err error) {
	if wanted == nil && !r.Scheduled {
		return false, nil, nil
	}
	key := ScheduleKey(caller.From(ctx).Principal, r.Name)
	s, err := w.readSchedule(ctx, key)
	if err != nil {
		return false, nil, err
	}
	if wanted != nil && wanted.Empty() {
		r.Scheduled = false
		if !s.exists() {
			return false, nil, nil
		}
		return true, nil, s.putEnd(b, key)
	}
	if wanted != nil {
		paused := *wanted
		if paused.Paused = true; s.exists() && sameSchedule(&s.Schedule, &paused) { // the same schedule does not end a pause
			wanted = &paused
		}
		if changed, err = s.change(*wanted, w.store.Day()); err != nil {
			return false, nil, err
		}
		s.Principal, s.Workflow, r.Scheduled = caller.From(ctx).Principal, r.Name, true
	}
	if _, err := version.check(ctx, s.Inputs); err != nil {
		e := schemas.AsError(err)
		return false, nil, e.WithField("/schedule" + e.Field).
			WithHint("the schedule executes each version with these inputs: change them, or set another schedule; {} ends it")
	}
	if at := s.nextFiring(); !at.IsZero() {
		next = &at
	}
	if changed {
		err = s.put(b, s.nextWake(w.store.Day()))
	}
	return changed, next, err
}

func sameSchedule(a, b *schemas.Schedule) bool {
	first, err := schemas.Encode(a)
	if err != nil {
		return false
	}
	second, err := schemas.Encode(b)
	return err == nil && bytes.Equal(first, second)
}

// change sets the rules of a schedule, and reports whether they are different. Firings that the old rules missed are not run by the new ones.
func (s *scheduleRecord) change(to schemas.Schedule, now time.Time) (bool, error) {
	check := schedule.Check
	if s.exists() && s.Cron == to.Cron { // one that was set before can be paused, and given other inputs
		check = func(s *schemas.Schedule, now time.Time) error { _, err := schedule.New(s, now); return err }
	}
	if err := check(&to, now); err != nil {
		return false, err
	}
	if s.exists() && sameSchedule(&s.Schedule, &to) {
		return false, nil
	}
	if !s.exists() || s.Cron != to.Cron || s.Every != to.Every || s.Timezone != to.Timezone {
		s.SetAt, s.Decided = now, now
	}
	if s.Paused && !to.Paused {
		s.Decided = now
	}
	s.Ended = false
	if s.Schedule = to; to.Paused || to.Overlap != schemas.OverlapQueue {
		for _, at := range s.Due {
			s.addFiring(schemas.Firing{At: at, Outcome: schemas.FiringSkipped})
		}
		s.Due = nil
	}
	return true, nil
}

// PauseSchedule pauses or resumes the schedule of a workflow. Firings during the pause are not run. The error of a workflow without a
// schedule has code not_found.
func (w *Workflows) PauseSchedule(ctx context.Context, name string, paused bool) (schemas.WorkflowInfo, error) {
	var out schemas.WorkflowInfo
	err := w.store.RetryOnConflict(func() error {
		r, err := w.readExisting(ctx, name)
		if err != nil {
			return err
		}
		s, err := w.readSchedule(ctx, ScheduleKey(caller.From(ctx).Principal, name))
		if err != nil {
			return err
		}
		if !s.exists() {
			return schemas.Errorf(schemas.CodeNotFound, "workflow %q has no schedule", name).WithField("workflow_id").
				WithHint("create_workflow with the same definition and a schedule gives it one")
		}
		to := s.Schedule
		to.Paused = paused
		changed, err := s.change(to, w.store.Day())
		out = s.addTo(r.info(), ShownFirings, true)
		if err != nil || !changed {
			return err
		}
		b := store.Batch{Sync: true}
		if err := s.put(&b, s.nextWake(w.store.Day())); err != nil {
			return err
		}
		_, err = w.store.Commit(ctx, b)
		return records.StoreError(err)
	})
	return out, err
}
