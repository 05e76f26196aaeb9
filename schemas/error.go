package schemas

import (
	"errors"
	"time"

	"github.com/invopop/jsonschema"
)

// Code classifies an error for callers that branch on it. Codes are part of the API and never change their meaning.
type Code string

// The codes of every error that leaves Runplane.
const (
	CodeInvalidArgument Code = "invalid_argument"
	CodeInvalidPlan     Code = "invalid_plan"
	CodeNotFound        Code = "not_found"
	CodeConflict        Code = "conflict"
	CodeAlreadyFinished Code = "already_finished"
	CodeReadOnly        Code = "read_only"
	CodeDenied          Code = "denied"
	CodeNeedsReview     Code = "needs_review"
	CodeHalted          Code = "halted"
	CodeTimeout         Code = "timeout"
	CodeQueueTimeout    Code = "queue_timeout"
	CodeHeartbeatLost   Code = "heartbeat_lost"
	CodeUnavailable     Code = "unavailable"
	CodeRateLimited     Code = "rate_limited"
	CodeCircuitOpen     Code = "circuit_open"
	CodeQuotaExceeded   Code = "quota_exceeded"
	CodeToolError       Code = "tool_error"
	CodePayloadTooLarge Code = "payload_too_large"
	CodeExpressionError Code = "expression_error"
	CodeCapabilityDrift Code = "capability_drift"
	CodeOutcomeUnknown  Code = "outcome_unknown"
	CodeRepeatExhausted Code = "repeat_exhausted"
	CodeCancelled       Code = "cancelled"
	CodeInternal        Code = "internal"
)

// codes holds for every code whether the same call may succeed later, and the hint of errors that have none of their own.
var codes = map[Code]struct {
	retryable bool
	hint      string
}{
	CodeInvalidArgument: {false, "correct the named argument and call again"},
	CodeInvalidPlan:     {false, "apply the findings' fixes and submit again; validate_plan checks without running"},
	CodeNotFound:        {false, "check the name or id; the list tools show what exists"},
	CodeConflict:        {false, "read the current version and decide again"},
	CodeAlreadyFinished: {false, "a finished execution never changes; rerun_execution starts a new one"},
	CodeReadOnly:        {false, "use the tool named in the message to change it"},
	CodeDenied:          {false, "a person or a rule refused this; do not repeat it unchanged"},
	CodeNeedsReview:     {false, "a person must decide first"},
	CodeHalted:          {false, "an operator stopped this scope; wait until it is lifted"},
	CodeTimeout:         {true, "raise the timeout that the message names, or try again"},
	CodeQueueTimeout:    {true, "try again later or with a higher priority"},
	CodeHeartbeatLost:   {true, "the capability stopped reporting progress; try again"},
	CodeUnavailable:     {true, "try again shortly; discover_capabilities shows the state of each realm"},
	CodeRateLimited:     {true, "wait for retry_after_seconds and try again"},
	CodeCircuitOpen:     {true, "the capability failed repeatedly; wait for retry_after_seconds"},
	CodeQuotaExceeded:   {false, "the budget is used up; ask for a larger one"},
	CodeToolError:       {false, "the tool ran and reported this error; read its message"},
	CodePayloadTooLarge: {false, "ask for less data, or page through it"},
	CodeExpressionError: {false, "correct the expression"},
	CodeCapabilityDrift: {false, "the tool changed since the plan was accepted; validate the plan again"},
	CodeOutcomeUnknown:  {false, "find out whether the call happened, then resume_execution with a patch: retry, skip or output"},
	CodeRepeatExhausted: {false, "nodes.<id>.output has what its rounds gave; raise repeat.max or repeat.timeout, or correct until"},
	CodeCancelled:       {false, "it was cancelled; start it again if that was a mistake"},
	CodeInternal:        {false, "this is a defect of the runtime; its log has the details"},
}

// Codes lists every code, for documentation and tests, in no particular order.
func Codes() []Code {
	all := make([]Code, 0, len(codes))
	for c := range codes {
		all = append(all, c)
	}
	return all
}

// Valid reports whether c is a known code.
func (c Code) Valid() bool { _, ok := codes[c]; return ok }

// Retryable reports whether a call that failed with this code may succeed when it is retried unchanged.
func (c Code) Retryable() bool { return codes[c].retryable }

// Outcome says whether a failed call ran at its realm. It is decided once, where the call leaves the process.
type Outcome string

const (
	// NotRun: the call certainly did not reach the tool (refused connection, unknown tool, invalid parameters, a limit).
	NotRun Outcome = "not_run"
	// RanFailed: the tool ran and reported an error.
	RanFailed Outcome = "ran_failed"
	// Unknown: the call was sent and no answer came back; it may have happened.
	Unknown Outcome = "unknown"
)

// Error is every failure that a caller sees: a code to branch on, a message, and a hint that says the next step. On the
// wire it is {"error": {...}} in the text of a result with isError.
type Error struct {
	Code              Code      `json:"code"`
	Message           string    `json:"message"`
	Hint              string    `json:"hint,omitempty"`
	Retryable         bool      `json:"retryable"`
	Field             string    `json:"field,omitempty" jsonschema:"description=JSON pointer or argument name the error is about"`
	Candidates        []string  `json:"candidates,omitempty" jsonschema:"description=nearest names that exist"`
	RetryAfterSeconds float64   `json:"retry_after_seconds,omitempty"`
	Findings          []Finding `json:"findings,omitempty"`
	ExecutionID       string    `json:"execution_id,omitempty"`
	CurrentVersion    *int64    `json:"current_version,omitempty" jsonschema:"description=of a conflict: the current version; 0: it does not exist"`
	Outcome           Outcome   `json:"outcome,omitempty" jsonschema:"enum=not_run,enum=ran_failed,enum=unknown,description=for a failed call: did it run at the realm"`
	RefusedBy         string    `json:"refused_by,omitempty" jsonschema:"enum=realm,description=of rate_limited: realm where the realm refused the call\\, absent where a limit of the runtime did"`
	Ended             bool      `json:"ended,omitempty" jsonschema:"description=of an unknown outcome: the call can no longer run"`
}

// JSONSchema names the fields that callers branch on and leaves the rest open: the complete schema would be repeated in the
// output schema of nearly every tool.
func (Error) JSONSchema() *jsonschema.Schema {
	properties := jsonschema.NewProperties()
	for _, name := range []string{"code", "message", "hint"} {
		properties.Set(name, &jsonschema.Schema{Type: "string"})
	}
	properties.Set("retryable", &jsonschema.Schema{Type: "boolean"})
	return &jsonschema.Schema{Type: "object", Properties: properties, Required: []string{"code", "message", "retryable"}}
}

// Errorf makes an Error with the code's usual hint and retryability.
func Errorf(code Code, format string, args ...any) *Error {
	c := codes[code]
	return &Error{Code: code, Message: Format(format, args...), Hint: c.hint, Retryable: c.retryable}
}

// Error formats code and message, and the hint in parentheses.
func (e *Error) Error() string {
	s := string(e.Code) + ": " + e.Message
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Is matches another *Error by its code, so errors.Is(err, &Error{Code: CodeConflict}) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// With returns a copy that edit has changed.
func (e *Error) With(edit func(*Error)) *Error {
	c := *e
	edit(&c)
	return &c
}

// WithHint returns a copy with another hint.
func (e *Error) WithHint(format string, args ...any) *Error {
	return e.With(func(c *Error) { c.Hint = Format(format, args...) })
}

// WithField returns a copy that names the argument or JSON pointer at fault.
func (e *Error) WithField(field string) *Error {
	return e.With(func(c *Error) { c.Field = Cut(field, maxField, Ellipsis) })
}

// WithCandidates returns a copy with the nearest names and a hint that suggests the first; without names it returns e.
func (e *Error) WithCandidates(names []string) *Error {
	if len(names) == 0 {
		return e
	}
	return e.With(func(c *Error) {
		c.Candidates = names
		c.Hint = Format("did you mean %q?", names[0])
	})
}

// WithOutcome returns a copy that says whether the call ran.
func (e *Error) WithOutcome(o Outcome) *Error {
	return e.With(func(c *Error) { c.Outcome = o })
}

// WithVersion returns a copy with the current version, which is not the expected one.
func (e *Error) WithVersion(current int64) *Error {
	return e.With(func(c *Error) { c.CurrentVersion = &current })
}

// WithRetryAfter returns a copy that says after how long the call may be retried.
func (e *Error) WithRetryAfter(d time.Duration) *Error {
	return e.With(func(c *Error) { c.RetryAfterSeconds = d.Seconds() })
}

// RetryAfter is RetryAfterSeconds as a duration; 0: the error does not say when.
func (e *Error) RetryAfter() time.Duration {
	if e.RetryAfterSeconds > 0 { // also not NaN
		return time.Duration(min(e.RetryAfterSeconds, maxRetryAfter.Seconds()) * float64(time.Second))
	}
	return 0
}

// maxRetryAfter keeps a huge number of seconds from overflowing a time.Duration.
const maxRetryAfter = 100 * 24 * time.Hour

// RefusedByRealm is the RefusedBy of a call that the realm refused.
const RefusedByRealm = "realm"

// Refused reports whether a call was refused by a temporary limit, of the runtime or of the realm: it spends no attempt, and the
// same call may succeed after the time that the error says. A realm may refuse only so often; then an attempt is spent.
func (e *Error) Refused() bool {
	if e.RefusedBy == RefusedByRealm {
		return true
	}
	if e.Outcome != NotRun {
		return false
	}
	switch e.Code {
	case CodeRateLimited, CodeCircuitOpen:
		return true
	case CodeQuotaExceeded:
		return e.RetryAfterSeconds > 0
	}
	return false
}

// AsError finds the *Error in err's chain. Any other error becomes code internal, without its text: internals never reach
// a caller.
func AsError(err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return Errorf(CodeInternal, "the runtime failed to do this")
}

// Severity of a Finding: a plan with an error is refused, one with warnings is not.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Finding is one error or warning that the compiler found in a plan.
type Finding struct {
	Severity Severity  `json:"severity" jsonschema:"enum=error,enum=warning"`
	Code     string    `json:"code" jsonschema:"description=kind of finding\\, such as unknown_capability or cycle"`
	Path     string    `json:"path" jsonschema:"description=JSON pointer into the plan"`
	Paths    []string  `json:"paths,omitempty" jsonschema:"description=where else the same is"`
	Message  string    `json:"message"`
	Line     int       `json:"line,omitempty" jsonschema:"description=where it is in a plan that was submitted as text of several lines"`
	Column   int       `json:"column,omitempty"`
	Fix      []PatchOp `json:"fix,omitempty" jsonschema:"description=JSON Patch (RFC 6902) that repairs the plan"`
	// Lossy: the fix leaves out a part of what was written. No such fix is given for what orders, guards, bounds, repeats, undoes or approves.
	Lossy bool `json:"lossy,omitempty" jsonschema:"description=the fix leaves out a part of what was written\\, which changes no order\\, condition or limit"`
	// Temporary: it is about a state of the world outside of the plan that may pass.
	Temporary bool `json:"-"`
}

// PatchOp is one JSON Patch operation (RFC 6902): add, remove, replace or move.
type PatchOp struct {
	Op    string `json:"op" jsonschema:"enum=add,enum=remove,enum=replace,enum=move"`
	Path  string `json:"path"`
	From  string `json:"from,omitempty"`
	Value Value  `json:"value,omitempty"`
}
