package schemas

import "time"

// Overlap says what happens to a firing while the execution of the previous one has not ended.
type Overlap string

const (
	// OverlapSkip: it is not executed; the default.
	OverlapSkip Overlap = "skip"
	// OverlapQueue: it is executed when the previous one has ended.
	OverlapQueue Overlap = "queue"
	// OverlapAllow: it is executed at the same time.
	OverlapAllow Overlap = "allow"
)

// Overlaps lists every overlap policy.
func Overlaps() []Overlap { return []Overlap{OverlapSkip, OverlapQueue, OverlapAllow} }

// Schedule says when a workflow is executed automatically: at the times of Cron in Timezone, or at intervals of Every from
// the time it was set. Without either there is no schedule.
type Schedule struct {
	Cron     string   `json:"cron,omitempty" jsonschema:"description=minute hour day month weekday"`
	Every    Duration `json:"every,omitempty"`
	Timezone string   `json:"timezone,omitempty" jsonschema:"description=of cron (default UTC)"`
	Inputs   Object   `json:"inputs,omitempty"`
	Overlap  Overlap  `json:"overlap,omitempty" jsonschema:"description=while the previous one still runs (default skip)"`
	CatchUp  *int     `json:"catch_up,omitempty" jsonschema:"minimum=0,maximum=100,description=missed firings to run later (default 1)"`
	Paused   bool     `json:"paused,omitempty"`
}

// DefaultCatchUp is the number of missed firings that are run later unless a schedule sets its own.
const DefaultCatchUp = 1

// None reports whether the schedule names no time.
func (s *Schedule) None() bool { return s.Cron == "" && s.Every == 0 }

// Empty reports whether no field is set: an empty schedule removes a workflow's schedule.
func (s *Schedule) Empty() bool {
	return s.None() && s.Timezone == "" && len(s.Inputs) == 0 && s.Overlap == "" && s.CatchUp == nil && !s.Paused
}

// FiringOutcome is the result of a [Firing].
type FiringOutcome string

const (
	// FiringExecuted: the execution that it names was started.
	FiringExecuted FiringOutcome = "executed"
	// FiringSkipped: the previous one had not ended, or the schedule was paused.
	FiringSkipped FiringOutcome = "skipped"
	// FiringMissed: no process was running to make it, and catch_up did not include it. It stands for all missed ones before it.
	FiringMissed FiringOutcome = "missed"
	// FiringFailed: the execution was refused; the error says why.
	FiringFailed FiringOutcome = "failed"
)

// FiringOutcomes lists every outcome.
func FiringOutcomes() []FiringOutcome {
	return []FiringOutcome{FiringExecuted, FiringSkipped, FiringMissed, FiringFailed}
}

// Firing is one due time of a schedule and what followed.
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
	Due  []time.Time `json:"due,omitempty" jsonschema:"description=firings that wait for the previous execution (overlap queue)"`
	Last []Firing    `json:"last,omitempty" jsonschema:"description=the last firings; newest first"`
}
