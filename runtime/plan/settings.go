package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/plan/expr"
	"github.com/runplane/runplane/schemas"
)

// The values of enumerated settings.
var (
	triggerRules = strs(schemas.AllSuccess, schemas.NoneFailed, schemas.AllDone, schemas.OneSuccess, schemas.OneFailed)
	onErrors     = strs(schemas.OnErrorFail, schemas.OnErrorContinue, schemas.OnErrorSuspend, schemas.OnErrorCompensate)
	onUnknowns   = strs(schemas.OnUnknownSuspend, schemas.OnUnknownFail, schemas.OnUnknownRetry)
	effects      = strs(schemas.EffectRead, schemas.EffectIdempotent, schemas.EffectOnce)
	onLimits     = []string{schemas.OnLimitSuspend, schemas.OnLimitFail}
	safetyLevels = strs(schemas.SafetyNormal, schemas.SafetyReview)
)

func strs[T ~string](values ...T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}

// maxParallel is the highest max_parallel, and maxKey the longest idempotency_key.
const (
	maxParallel = 1000
	maxKey      = 255
	maxAttempts = 100
	maxFactor   = 100
)

func (c *compiler) planSettings() {
	p := &c.plan
	if p.Version != schemas.PlanVersion && p.Version != "" {
		c.out.errorf(codeWrongVersion, c.base+"/plan", "plan %q is not known; this is %q", p.Version, schemas.PlanVersion).Fix =
			[]schemas.PatchOp{opReplaceText(c.base+"/plan", schemas.PlanVersion)}
	}
	if c.outer != nil {
		c.outermost("priority", p.Priority != 0)
		c.outermost("queue_timeout", p.QueueTimeout != 0)
		c.outermost("idempotency_key", p.IdempotencyKey != "")
	} else {
		c.duration("/queue_timeout", "queue_timeout", p.QueueTimeout)
		c.inRange("/priority", "priority", p.Priority, schemas.PriorityFirst, schemas.PriorityLast)
	}
	c.inRange(c.base+"/max_parallel", "max_parallel", p.MaxParallel, 1, maxParallel)
	if len(p.IdempotencyKey) > maxKey {
		c.out.errorf(codeOutOfRange, c.base+"/idempotency_key",
			"idempotency_key has %d bytes; at most %d are allowed", len(p.IdempotencyKey), maxKey)
	}
	c.duration(c.base+"/timeout", "timeout", p.Timeout)
	c.limits()
	if p.Defaults != nil {
		c.duration(c.base+"/defaults/timeout", "timeout", p.Defaults.Timeout)
		c.retry(c.base+"/defaults/retry", p.Defaults.Retry)
	}
	if strings.Contains(string(p.Inputs), "${") && !strings.Contains(string(p.Inputs), "$${") {
		message := "inputs hold ${…}, which is not evaluated here: inputs are plain values"
		if c.outer != nil {
			message += "; what is computed goes into the inputs of the workflow node"
		}
		c.out.warnf(codeNotEvaluated, c.base+"/inputs", "%s", message)
	}
}

// outermost refuses a field that only the outermost plan may have.
func (c *compiler) outermost(name string, given bool) {
	if given {
		at := c.base + "/" + name
		c.out.errorf(codeMisplacedField, at, "%s belongs to the whole plan, not to a definition within it", name)
	}
}

// inRange checks a whole number; 0 counts as absent.
func (c *compiler) inRange(at, name string, got, low, high int) {
	if got != 0 && (got < low || got > high) {
		c.outside(at, name, float64(got), float64(low), float64(high))
	}
}

// wordOf checks a field of the object at a place, most of which are not given.
func (c *compiler) wordOf(at, name, value string, allowed []string) {
	if value != "" {
		c.word(at+"/"+name, name, value, allowed)
	}
}

// durationOf is like wordOf.
func (c *compiler) durationOf(at, name string, d schemas.Duration) {
	if d != 0 {
		c.duration(at+"/"+name, name, d)
	}
}

func (c *compiler) word(at, name, value string, allowed []string) {
	if value == "" {
		return
	}
	for _, word := range allowed {
		if value == word {
			return
		}
	}
	suggestion, near := nearest(value, allowed)
	f := c.out.errorf(codeUnknownValue, at,
		"%s %q is not known%s; it is one of %s", name, expr.Shorten(value), suggestion, strings.Join(allowed, ", "))
	if len(near) > 0 && schemas.Misspelt(value, near[0]) {
		f.Fix = []schemas.PatchOp{opReplaceText(at, near[0])}
	}
}

// outside reports a number outside its range. The nearer end is another number than the author's, so it is not written.
func (c *compiler) outside(at, name string, got, low, high float64) {
	c.out.errorf(codeOutOfRange, at, "%s must be from %v to %v, got %v", name, low, high, got)
}

func (c *compiler) duration(at, name string, d schemas.Duration) {
	switch {
	case d < 0:
		c.out.errorf(codeOutOfRange, at, "%s must not be negative: write the longest time that is wanted, or leave it out for the default", name)
	case d > c.lim.MaxDuration:
		c.out.errorf(codeDurationTooLong, at, "%s %s is longer than the longest allowed, %s", name, d, c.lim.MaxDuration)
	}
}

func (c *compiler) retry(at string, r *schemas.Retry) {
	if r == nil {
		return
	}
	if r.MaxAttempts < 0 || r.MaxAttempts > maxAttempts {
		c.outside(at+"/max_attempts", "max_attempts", float64(r.MaxAttempts), 1, maxAttempts)
	}
	if r.BackoffCoefficient != 0 && (r.BackoffCoefficient < 1 || r.BackoffCoefficient > maxFactor) {
		c.outside(at+"/backoff_coefficient", "backoff_coefficient", r.BackoffCoefficient, 1, maxFactor)
	}
	if r.Jitter != nil && (*r.Jitter < 0 || *r.Jitter > 1) {
		c.outside(at+"/jitter", "jitter", *r.Jitter, 0, 1)
	}
	c.duration(at+"/initial_interval", "initial_interval", r.InitialInterval)
	c.duration(at+"/max_interval", "max_interval", r.MaxInterval)
	c.duration(at+"/max_elapsed", "max_elapsed", r.MaxElapsed)
	for _, list := range []struct {
		name  string
		codes []schemas.Code
	}{{"retry_on", r.RetryOn}, {"no_retry_on", r.NoRetryOn}} {
		for i, code := range list.codes {
			c.word(schemas.PointerToItem(at+"/"+list.name, i), "error code", string(code), errorCodes())
		}
	}
}

func errorCodes() []string {
	names := strs(schemas.Codes()...)
	slices.Sort(names) // the same message each time
	return names
}

// condition wants one expression, or a literal true or false.
func (c *compiler) condition(name, when, at string) {
	if when == "true" || when == "false" {
		return
	}
	segments, fault := expr.Split(when)
	if fault != nil {
		return // reported with the other strings
	}
	joined, certain := c.joined(segments)
	count := 0
	for _, s := range segments {
		if s.Expression {
			count++
		}
	}
	if count == 1 && len(segments) == 1 {
		return
	}
	message := name + " must be one ${…} that is true or false"
	if count > 0 {
		message += ": put the whole comparison inside it"
	}
	f := c.out.errorf(codeInvalidCondition, at, "%s, got %q", message, expr.Shorten(when))
	if r := expr.Rewrite(expr.Unwrapped(joined), expr.AsWritten{}); len(r.Stuck) > 0 {
		f.Message += ": " + strings.Join(r.Stuck, "; ")
	}
	if whole := c.embraced(joined); whole != "" && certain {
		f.Fix = []schemas.PatchOp{c.fixText(at, when, func(string) string { return whole })}
	}
}

// joined is a condition with all of its text in one expression. A reference in quotes, as a shell has it, loses them where it is a text;
// certain reports whether that is so.
func (c *compiler) joined(segments []expr.Segment) (text string, certain bool) {
	certain = true
	var b strings.Builder
	for i, s := range segments {
		text := s.Text
		if !s.Expression {
			if i > 0 && quoteBefore(segments, i-1) {
				text = text[1:]
			}
			if i+1 < len(segments) && text != "" && quoteBefore(segments, i+1) {
				text = text[:len(text)-1]
				certain = certain && c.isText(segments[i+1].Text)
			}
		} else if _, plain := expr.ParsePath(text); !plain && len(segments) > 1 {
			text = "(" + text + ")" // what stands around it binds no part of it
		}
		b.WriteString(text)
	}
	return b.String(), certain
}

// quoteBefore reports whether an expression stands in quotes.
func quoteBefore(segments []expr.Segment, i int) bool {
	if !segments[i].Expression || i == 0 || i+1 >= len(segments) || segments[i-1].Expression || segments[i+1].Expression {
		return false
	}
	before, after := segments[i-1].Text, segments[i+1].Text
	quote := before[len(before)-1]
	return (quote == '\'' || quote == '"') && after[0] == quote
}

// isText reports whether an expression is a path to what a tool declares as a text. Tools are not pinned yet.
func (c *compiler) isText(text string) bool {
	p, ok := expr.ParsePath(text)
	if !ok || p.Root != "nodes" || len(p.Steps) < 3 || p.Steps[1].Key != "output" {
		return false
	}
	i, ok := c.ids[p.NodeID()]
	if !ok || len(c.plan.Nodes[i].Fallback) > 0 || c.plan.Nodes[i].ForEach != nil {
		return false
	}
	realm, name, _ := strings.Cut(c.plan.Nodes[i].Capability, ".")
	t, known := c.cat.Tool(realm, name)
	if !known {
		return false
	}
	at := newShape(t.OutputSchema)
	for _, s := range p.Steps[2:] {
		if at, known = at.property(s.Key); !known || s.Index >= 0 {
			return false
		}
	}
	return slices.Equal(at.types(), []string{"string"})
}

// wait checks a literal wait; one with expressions is known when it runs.
func (c *compiler) wait(text, at string) {
	if strings.Contains(text, "${") {
		return
	}
	if until, err := time.Parse(time.RFC3339, text); err == nil {
		if problem := c.lim.moment(until, time.Now()); problem != "" {
			c.out.errorf(codeOutOfRange, at, "wait: %s", problem)
		}
		return
	}
	d, err := schemas.ParseDuration(text)
	if err != nil {
		f := c.out.errorf(codeInvalidWait, at, "wait takes a duration such as 10m or a time with its zone such as 2030-01-31T09:00:00Z or 2030-01-31T09:00:00+01:00: %v", err)
		if unit, _ := unitOf(at, text); unit != "" {
			f.Fix = []schemas.PatchOp{opReplaceText(at, text+unit)}
		}
		return
	}
	c.duration(at, "wait", d)
}

// WaitUntil is when a rendered wait ends: at the time of day that it gives, or after the duration that it gives.
func WaitUntil(text string, now time.Time) (_ time.Time, byDay bool, _ error) {
	lim := DefaultLimits()
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		if problem := lim.moment(at, now); problem != "" {
			return time.Time{}, false, schemas.Errorf(schemas.CodeExpressionError, "wait: %s", problem)
		}
		return at, true, nil
	}
	d, err := schemas.ParseDuration(text)
	if err != nil {
		return time.Time{}, false, schemas.Errorf(schemas.CodeExpressionError, "wait: %v", err).
			WithHint("a wait is a duration such as 10m or a time such as 2030-01-31T09:00:00Z")
	}
	if d > lim.MaxDuration {
		return time.Time{}, false, schemas.Errorf(schemas.CodeExpressionError, "wait: %s is longer than the longest allowed, %s", d, lim.MaxDuration)
	}
	return now.Add(d.Std()), false, nil
}

// earliest is the first time that may be waited for; a time before it is a mistake, such as a date that was never set.
var earliest = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)

// moment says what is wrong with a time that is to be waited for; empty: nothing. A time that has passed is fine: the wait is over at once.
func (l Limits) moment(at, now time.Time) string {
	switch {
	case at.Before(earliest):
		return fmt.Sprintf("%s is no time to wait for: it lies before 1970", at.Format(time.RFC3339))
	case at.Sub(now) > l.MaxDuration.Std():
		return fmt.Sprintf("%s is further away than the longest wait allowed, %s", at.Format(time.RFC3339), l.MaxDuration)
	}
	return ""
}
