package workflow

import (
	"slices"
	"testing"
	"time"

	"github.com/runplane/runplane/schemas"
)

// The history of a schedule has the newest firings first, at most maxPastFirings of them, and one line for missed firings that follow each other.
func TestHistoryOfASchedule(t *testing.T) {
	began := time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
	firing := func(hour int, outcome schemas.FiringOutcome) schemas.Firing {
		return schemas.Firing{At: began.Add(time.Duration(hour) * time.Hour), Outcome: outcome, ExecutionID: string(rune('a' + hour))}
	}
	var s scheduleRecord
	history := func() (hours []int) {
		for _, f := range s.Last {
			hours = append(hours, int(f.At.Sub(began)/time.Hour))
		}
		return hours
	}
	s.addFiring(firing(1, schemas.FiringExecuted))
	s.addFiring(firing(4, schemas.FiringSkipped)) // is known before the one that is still being made
	s.addFiring(firing(2, schemas.FiringExecuted))
	if got := history(); !slices.Equal(got, []int{4, 2, 1}) || s.Latest != "c" {
		t.Errorf("firings of %v, the latest execution is %q", got, s.Latest)
	}
	for hour := 5; hour < 9; hour++ {
		s.addFiring(firing(hour, schemas.FiringMissed))
	}
	if got := history(); !slices.Equal(got, []int{8, 4, 2, 1}) || s.Latest != "c" {
		t.Errorf("with missed ones: %v, the latest execution is %q", got, s.Latest)
	}
	for hour := 9; hour < 9+2*maxPastFirings; hour++ {
		s.addFiring(firing(hour, schemas.FiringExecuted))
	}
	if got := history(); len(got) != maxPastFirings || got[0] != 8+2*maxPastFirings {
		t.Errorf("after many: %v", got)
	}
}

// Listeners are notified when the list of a principal that was shown one becomes another one.
func TestListenersAreNotifiedOfWhatWasShown(t *testing.T) {
	var r Workflows
	var notified []string
	r.listeners.remembered = make(chan struct{}, 1)
	off := r.OnPublished(func(principal string) { notified = append(notified, principal) })
	before, after := []Published{{Tool: "workflow_a"}}, []Published{{Tool: "workflow_a"}, {Tool: "workflow_b"}}
	r.notify("ada", after)
	if r.listeners.hasListeners("ada") || len(notified) > 0 {
		t.Errorf("notified of a list that was not shown: %v", notified)
	}
	r.listeners.remember("ada", before)
	r.listeners.remember("ada", after) // what was shown first is compared
	r.notify("ada", before)
	r.notify("ada", after)
	r.notify("ada", after)
	r.notify("bob", after)
	if !slices.Equal(notified, []string{"ada"}) {
		t.Errorf("notified %v", notified)
	}
	off()
	off()
	r.notify("ada", before)
	if !slices.Equal(notified, []string{"ada"}) || r.listeners.hasListeners("ada") {
		t.Errorf("notified after it was off: %v", notified)
	}
}

// A schedule that would be refused today, but was set before, can still be paused and get other inputs.
func TestOldSchedulesCanBeChanged(t *testing.T) {
	old := schemas.Schedule{Cron: "*/90 * * * *"}
	s := scheduleRecord{Schedule: old, stored: 1}
	paused := old
	paused.Paused = true
	if changed, err := s.change(paused, time.Time{}); err != nil || !changed {
		t.Errorf("pausing it: %v", err)
	}
	if _, err := s.change(schemas.Schedule{Cron: "*/91 * * * *"}, time.Time{}); err == nil {
		t.Error("another one of the kind was set")
	}
}
