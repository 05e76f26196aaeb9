package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/schedule"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

const KindSchedule = "schedule"

// scheduleRecord is the record of a workflow's schedule. Its wake is when somebody next has to look at it. One that was ended leaves its
// version behind for a day, so that nobody who still holds it takes the next one for it.
type scheduleRecord struct {
	schemas.Schedule
	Principal string           `json:"principal"`
	Workflow  string           `json:"workflow"`
	SetAt     time.Time        `json:"set_at"`           // of which every counts
	Decided   time.Time        `json:"decided"`          // what was due up to here has been decided on
	Orders    []order          `json:"orders,omitempty"` // decided, and perhaps not made yet
	Due       []time.Time      `json:"due,omitempty"`    // wait for the execution before, oldest first
	Last      []schemas.Firing `json:"last,omitempty"`   // newest first
	Latest    string           `json:"latest,omitempty"` // execution that was made last; empty: none was
	Ended     bool             `json:"ended,omitempty"`  // there is no schedule
	stored    int64
}

// there tells whether there is a schedule.
func (s *scheduleRecord) exists() bool { return s.stored > 0 && !s.Ended }

// order is an execution that a firing is to become. Who makes it twice makes it once: the id is the same.
type order struct {
	At          time.Time `json:"at"`
	ExecutionID string    `json:"execution_id"`
	Version     int64     `json:"version"`
}

const (
	maxPastFirings = 10  // of the past
	ShownFirings   = 5   // to come
	MaxDue         = 100 // that wait for the execution before
)

// ScheduleKey is where the schedule of a workflow is stored: it stands in the partition of its workflow, so that one commit changes both.
func ScheduleKey(principal, workflow string) store.Key {
	return store.Key{Kind: KindSchedule, ID: Key(principal, workflow).ID}
}

// readSchedule reads a schedule; see there.
func (w *Workflows) readSchedule(ctx context.Context, key store.Key) (scheduleRecord, error) {
	rec, err := w.store.Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return scheduleRecord{}, nil
	}
	if err != nil {
		return scheduleRecord{}, records.Error(err)
	}
	s := scheduleRecord{stored: rec.Version}
	if err := json.Unmarshal(rec.Value, &s); err != nil {
		return s, fmt.Errorf("read schedule %s: %w", key, err)
	}
	return s, nil
}

func (s *scheduleRecord) key() store.Key { return ScheduleKey(s.Principal, s.Workflow) }

func (s *scheduleRecord) times() (*schedule.Times, error) { return schedule.New(&s.Schedule, s.SetAt) }

func (s *scheduleRecord) catchUp() int {
	if s.CatchUp == nil {
		return schemas.DefaultCatchUp
	}
	return *s.CatchUp
}

// addFiring takes a firing into the history. Of firings that were missed one behind the other the last one stands for all.
func (s *scheduleRecord) addFiring(f schemas.Firing) {
	if f.Outcome == schemas.FiringExecuted {
		s.Latest = f.ExecutionID
	}
	if n := len(s.Last); n > 0 && f.Outcome == schemas.FiringMissed && s.Last[0].Outcome == schemas.FiringMissed {
		s.Last = s.Last[1:]
	}
	s.Last = append([]schemas.Firing{f}, s.Last...)
	slices.SortStableFunc(s.Last, func(a, b schemas.Firing) int { return b.At.Compare(a.At) }) // those that are skipped are known before those that are made
	s.Last = s.Last[:min(len(s.Last), maxPastFirings)]
}

// nextFiring is the first firing that was not decided on; zero: none comes.
func (s *scheduleRecord) nextFiring() time.Time {
	t, err := s.times()
	if err != nil || s.Paused {
		return time.Time{}
	}
	return t.Next(s.Decided)
}

// put is the batch that writes the schedule with its next wake. A store.ErrConflict means that somebody else was faster.
func (s *scheduleRecord) put(b *store.Batch, wake time.Time) error {
	value, err := schemas.Encode(s)
	if err != nil {
		return fmt.Errorf("encode schedule: %w", err)
	}
	b.Puts = append(b.Puts, store.Put{Key: s.key(), Value: value, Version: s.stored})
	b.Wakes = append(b.Wakes, store.Wake{Key: s.key(), At: wake})
	return nil
}

// putEnd is the batch that ends the schedule at a key, or says once more that there is none.
func (s *scheduleRecord) putEnd(b *store.Batch, key store.Key) error {
	value, err := schemas.Encode(scheduleRecord{Ended: true})
	if err != nil {
		return fmt.Errorf("encode schedule: %w", err)
	}
	b.Puts = append(b.Puts, store.Put{Key: key, Value: value, Version: s.stored, TTL: state.KeepVersion})
	b.Wakes = append(b.Wakes, store.Wake{Key: key})
	return nil
}

// nextWake is when somebody has to see to the schedule after it was changed: what was decided on comes first.
func (s *scheduleRecord) nextWake(now time.Time) time.Time {
	if len(s.Orders) > 0 {
		return now
	}
	return s.nextFiring()
}

// addTo is a workflow with this as its schedule: with up to n firings to come, and with those that were where they are asked for.
func (s *scheduleRecord) addTo(info schemas.WorkflowInfo, n int, withPast bool) schemas.WorkflowInfo {
	v := &schemas.ScheduleStatus{Schedule: s.Schedule, Due: s.Due}
	if info.Schedule = v; withPast {
		v.Last = s.Last
	}
	if next := s.nextFiring(); !next.IsZero() {
		info.NextFiring = &next
	}
	t, err := s.times()
	if err != nil || s.Paused {
		return info
	}
	for at := t.Next(s.Decided); len(v.Next) < n && !at.IsZero(); at = t.Next(at) {
		v.Next = append(v.Next, at)
	}
	return info
}
