package schemas

import "time"

// Overlap says what becomes of a firing while the execution of the one before has not ended.
type Overlap string

const (
	// OverlapSkip: nothing is executed; the default.
	OverlapSkip Overlap = "skip"
	// OverlapQueue: it is executed when that one has ended.
	OverlapQueue Overlap = "queue"
	// OverlapAllow: it is executed all the same.
	OverlapAllow Overlap = "allow"
)

// Overlaps lists every overlap policy.
func Overlaps() []Overlap { return []Overlap{OverlapSkip, OverlapQueue, OverlapAllow} }

// Schedule says when a workflow is executed by itself: at the times of Cron in Timezone, or each Every from when it was
// set. None of both is no schedule.
type Schedule struct {
	Cron     string   `json:"cron,omitempty" jsonschema:"description=minute hour day month weekday"`
	Every    Duration `json:"every,omitempty"`
	Timezone string   `json:"timezone,omitempty" jsonschema:"description=of cron (default UTC)"`
	Inputs   Object   `json:"inputs,omitempty"`
	Overlap  Overlap  `json:"overlap,omitempty" jsonschema:"description=while the last one still runs (default skip)"`
	CatchUp  *int     `json:"catch_up,omitempty" jsonschema:"minimum=0,maximum=100,description=missed firings to make up (default 1)"`
	Paused   bool     `json:"paused,omitempty"`
}

// DefaultCatchUp is how many missed firings are made up where a schedule says nothing.
const DefaultCatchUp = 1

// None tells whether no time is named.
func (s *Schedule) None() bool { return s.Cron == "" && s.Every == 0 }

// Empty tells whether nothing at all is said: that ends a schedule.
func (s *Schedule) Empty() bool {
	return s.None() && s.Timezone == "" && len(s.Inputs) == 0 && s.Overlap == "" && s.CatchUp == nil && !s.Paused
}

// FiringOutcome is what became of a firing.
type FiringOutcome string

const (
	// FiringExecuted: it is the execution that is named.
	FiringExecuted FiringOutcome = "executed"
	// FiringSkipped: the one before had not ended, or the schedule was paused.
	FiringSkipped FiringOutcome = "skipped"
	// FiringMissed: nobody was there to make it, and catch_up did not cover it; it stands for all such before it.
	FiringMissed FiringOutcome = "missed"
	// FiringFailed: the execution was refused, see the error.
	FiringFailed FiringOutcome = "failed"
)

// FiringOutcomes lists every outcome.
func FiringOutcomes() []FiringOutcome {
	return []FiringOutcome{FiringExecuted, FiringSkipped, FiringMissed, FiringFailed}
}

// Firing is one time of a schedule that has come.
type Firing struct {
	At          time.Time     `json:"at"`
	Outcome     FiringOutcome `json:"outcome"`
	ExecutionID string        `json:"execution_id,omitempty"`
	Error       *Error        `json:"error,omitempty"`
}

// ScheduleStatus is a schedule with its firings.
type ScheduleStatus struct {
	Schedule
	Next []time.Time `json:"next,omitempty" jsonschema:"description=the next firings; none while it is paused"`
	Due  []time.Time `json:"due,omitempty" jsonschema:"description=firings that wait for the execution before (overlap queue)"`
	Last []Firing    `json:"last,omitempty" jsonschema:"description=the last firings; newest first"`
}
