package schemas

import (
	"fmt"
	"time"
)

// PlanLimits are the budget of one execution of a plan; zero fields: no limit. What its workflow nodes use counts when they have ended.
type PlanLimits struct {
	Calls int      `json:"calls,omitempty" jsonschema:"minimum=1,description=most calls; retries count"`
	Time  Duration `json:"time,omitempty" jsonschema:"description=longest time of running; not while it is queued or suspended"`
	Bytes int      `json:"bytes,omitempty" jsonschema:"minimum=1,description=most bytes of outputs that are stored"`
}

// What an execution does when it has reached a limit of its plan, in [Plan.OnLimit].
const (
	OnLimitSuspend = "suspend"
	OnLimitFail    = "fail"
)

// With returns l with the limits that o has.
func (l PlanLimits) With(o PlanLimits) PlanLimits {
	if o.Calls > 0 {
		l.Calls = o.Calls
	}
	if o.Time > 0 {
		l.Time = o.Time
	}
	if o.Bytes > 0 {
		l.Bytes = o.Bytes
	}
	return l
}

// ReachedLimit is a limit of its plan that an execution has reached. Used and Allowed are numbers, or durations such as 10m.
type ReachedLimit struct {
	Limit   string `json:"limit" jsonschema:"enum=calls,enum=time,enum=bytes"`
	Used    string `json:"used"`
	Allowed string `json:"allowed"`
	Raise   string `json:"raise" jsonschema:"description=the patch of resume_execution that raises it"`
}

// Reached returns the first limit that is reached; nil: none is. calls: a call is about to be made, or a workflow to be started. uses: something
// is about to be started.
func (l PlanLimits) Reached(used PlanLimits, uses, calls bool) *ReachedLimit {
	switch {
	case l.Time > 0 && used.Time >= l.Time:
		shown := max(l.Time, used.Time.Truncate())
		return &ReachedLimit{"time", shown.String(), l.Time.String(), fmt.Sprintf(`{"limits":{"time":"%s"}}`, min(doubled(l.Time, used.Time), MaxPlanTime))}
	case calls && l.Calls > 0 && used.Calls >= l.Calls:
		return &ReachedLimit{"calls", fmt.Sprint(used.Calls), fmt.Sprint(l.Calls), fmt.Sprintf(`{"limits":{"calls":%d}}`, doubled(l.Calls, used.Calls))}
	case uses && l.Bytes > 0 && used.Bytes >= l.Bytes:
		return &ReachedLimit{"bytes", fmt.Sprint(used.Bytes), fmt.Sprint(l.Bytes), fmt.Sprintf(`{"limits":{"bytes":%d}}`, doubled(l.Bytes, used.Bytes))}
	}
	return nil
}

// MaxPlanTime is the longest limit of time of a plan.
const MaxPlanTime = Duration(366 * 24 * time.Hour)

// doubled is the limit twice, or as often as it takes to be more than is used.
func doubled[T ~int | ~int64](limit, used T) T {
	more := 2 * limit
	for more > 0 && more <= used {
		more *= 2
	}
	return more
}

// Error returns the error of an execution that fails because of the limit.
func (r *ReachedLimit) Error() *Error {
	return Errorf(CodeQuotaExceeded, "the execution has used %s of %s, the %s of its plan's limits", r.Used, r.Allowed, r.Limit).
		WithHint("raise limits.%s of the plan and rerun_execution with from_node to keep what succeeded; without on_limit: fail it is suspended, and "+
			"resume_execution raises the limit", r.Limit)
}

// Reason says why an execution is suspended because of the limit.
func (r *ReachedLimit) Reason() string {
	return fmt.Sprintf("it has used %s of %s, the %s of its plan's limits", r.Used, r.Allowed, r.Limit)
}

// Hint says how the execution continues.
func (r *ReachedLimit) Hint() string {
	return r.Reason() + ": resume_execution with patch: " + r.Raise + " raises the limit; cancel_execution ends it"
}
