package workflow

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/runtime/schedule"
	"github.com/runplane/runplane/runtime/state"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// KindSchedule of the records of schedules.
const KindSchedule = "schedule"

// scheduleRecord is the record of a workflow's schedule. Its wake is when it has to be handled next. A schedule that was ended leaves its
// version behind for a day, so that a replica that has read it cannot mistake the next one for it.
type scheduleRecord struct {
	schemas.Schedule
	Principal string           `json:"principal"`
	Workflow  string           `json:"workflow"`
	SetAt     time.Time        `json:"set_at"`           // where Every counts from
	Decided   time.Time        `json:"decided"`          // firings up to this time are decided on
	Orders    []order          `json:"orders,omitempty"` // decided on, and perhaps not made yet
	Due       []time.Time      `json:"due,omitempty"`    // firings that wait for the execution before, oldest first
	Last      []schemas.Firing `json:"last,omitempty"`   // newest first
	Latest    string           `json:"latest,omitempty"` // id of the last execution; empty: there was none
	Ended     bool             `json:"ended,omitempty"`  // there is no schedule
	stored    int64
}

// exists reports whether there is a schedule.
func (s *scheduleRecord) exists() bool { return s.stored > 0 && !s.Ended }

// order is an execution that a firing is to become. It is created once, however often it is tried: the id is the same.
type order struct {
	At          time.Time `json:"at"`
	ExecutionID string    `json:"execution_id"`
	Version     int64     `json:"version"`
}

const (
	// ShownFirings is how many firings to come the status of a workflow shows.
	ShownFirings = 5
	// MaxDue is how many firings wait for the execution before at most; the oldest are missed.
	MaxDue = 100

	maxPastFirings = 10
)

// ScheduleKey returns the key of a workflow's schedule. It is in the partition of the workflow, so that one commit can change both.
func ScheduleKey(principal, workflow string) store.Key {
	return store.Key{Kind: KindSchedule, ID: Key(principal, workflow).ID}
}

// readSchedule reads a schedule; one that does not exist is not an error, see exists.
func (w *Workflows) readSchedule(ctx context.Context, key store.Key) (scheduleRecord, error) {
	s, version, err := records.Read[scheduleRecord](ctx, w.store, key)
	s.stored = version
	return s, err
}

func (s *scheduleRecord) key() store.Key { return ScheduleKey(s.Principal, s.Workflow) }

func (s *scheduleRecord) times() (*schedule.Times, error) { return schedule.New(&s.Schedule, s.SetAt) }

func (s *scheduleRecord) catchUp() int {
	if s.CatchUp == nil {
		return schemas.DefaultCatchUp
	}
	return *s.CatchUp
}

// addFiring adds a firing to the history. Of several missed firings in a row, only the last one is kept.
func (s *scheduleRecord) addFiring(f schemas.Firing) {
	if f.Outcome == schemas.FiringExecuted {
		s.Latest = f.ExecutionID
	}
	if n := len(s.Last); n > 0 && f.Outcome == schemas.FiringMissed && s.Last[0].Outcome == schemas.FiringMissed {
		s.Last = s.Last[1:]
	}
	s.Last = append([]schemas.Firing{f}, s.Last...)
	// Skipped firings are known before those that become executions.
	slices.SortStableFunc(s.Last, func(a, b schemas.Firing) int { return b.At.Compare(a.At) })
	s.Last = s.Last[:min(len(s.Last), maxPastFirings)]
}

// nextFiring returns the first firing that is not decided on; zero: there is none.
func (s *scheduleRecord) nextFiring() time.Time {
	t, err := s.times()
	if err != nil || s.Paused {
		return time.Time{}
	}
	return t.Next(s.Decided)
}

// put adds the write of the schedule to b, with its next wake, against the version that was read.
func (s *scheduleRecord) put(b *store.Batch, wake time.Time) error {
	value, err := schemas.Encode(s)
	if err != nil {
		return fmt.Errorf("encode schedule: %w", err)
	}
	b.Puts = append(b.Puts, store.Put{Key: s.key(), Value: value, Version: s.stored})
	b.Wakes = append(b.Wakes, store.Wake{Key: s.key(), At: wake})
	return nil
}

// putEnd adds the end of the schedule at a key to b; one that has ended stays so.
func (s *scheduleRecord) putEnd(b *store.Batch, key store.Key) error {
	value, err := schemas.Encode(scheduleRecord{Ended: true})
	if err != nil {
		return fmt.Errorf("encode schedule: %w", err)
	}
	b.Puts = append(b.Puts, store.Put{Key: key, Value: value, Version: s.stored, TTL: state.KeepVersion})
	b.Wakes = append(b.Wakes, store.Wake{Key: key})
	return nil
}

// nextWake returns when the schedule has to be handled after it was changed: at once if there are orders.
func (s *scheduleRecord) nextWake(now time.Time) time.Time {
	if len(s.Orders) > 0 {
		return now
	}
	return s.nextFiring()
}

// addTo returns info with this schedule: with up to n firings to come, and with past ones if withPast is set.
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
