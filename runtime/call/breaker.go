package call

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/sony/gobreaker/v2"

	"github.com/runplane/runplane/schemas"
)

// Breakers are circuit breakers, one for each capability: after a number of failures in a row calls are refused with
// circuit_open and the time until the next try. Then one call at a time is tried, and its success closes the breaker. The zero
// value is not usable.
type Breakers struct {
	log hclog.Logger

	mu    sync.Mutex
	named map[string]*breaker
}

// NewBreakers returns closed breakers that log their changes.
func NewBreakers(log hclog.Logger) *Breakers {
	return &Breakers{log: log, named: map[string]*breaker{}}
}

// breaker is the breaker of one capability.
type breaker struct {
	rule BreakerRule
	gate *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu     sync.Mutex
	opened int            // how often it opened
	until  time.Time      // when a call may be tried
	last   *schemas.Error // the last failure
}

// Wrap is the [Wrapper].
func (b *Breakers) Wrap(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		rule := c.rules().Breaker
		if rule.Failures <= 0 {
			return next.Invoke(ctx, c)
		}
		k := b.breakerOf(c.Name(), rule)
		done, err := k.gate.Allow()
		if err != nil {
			return nil, k.refusal(c, err)
		}
		res, err := next.Invoke(ctx, c)
		verdict := judge(ctx, err)
		if errors.Is(verdict, errFault) {
			k.mu.Lock()
			k.last = schemas.AsError(err)
			k.mu.Unlock()
		}
		done(verdict)
		return res, err
	})
}

// What a breaker counts for a call; nil is a success.
var (
	errFault   = errors.New("the realm failed")
	errIgnored = errors.New("not caused by the realm")
)

// verdicts is what counts, by code. A code that is not listed is ignored, and so are a call that its caller ended and a [Known] failure.
var verdicts = map[schemas.Code]error{
	schemas.CodeUnavailable:     errFault,
	schemas.CodeTimeout:         errFault,
	schemas.CodeHeartbeatLost:   errFault,
	schemas.CodeToolError:       nil, // the realm answered
	schemas.CodeInvalidArgument: nil,
	schemas.CodeNotFound:        nil,
	schemas.CodePayloadTooLarge: nil,
}

func judge(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if _, known := errors.AsType[Known](err); known || ctx.Err() != nil {
		return errIgnored
	}
	e := schemas.AsError(err)
	verdict, known := verdicts[e.Code]
	switch {
	case !known:
		return errIgnored
	case e.Code == schemas.CodeToolError && e.Outcome == schemas.Unknown: // an invalid answer
		return errFault
	}
	return verdict
}

// breakerOf is the breaker of a capability. A different rule creates a new one.
func (b *Breakers) breakerOf(name string, rule BreakerRule) *breaker {
	b.mu.Lock()
	defer b.mu.Unlock()
	if k := b.named[name]; k != nil && k.rule == rule {
		return k
	}
	k := &breaker{rule: rule}
	k.gate = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name: name, MaxRequests: 1, Timeout: rule.OpenFor,
		ReadyToTrip:  func(n gobreaker.Counts) bool { return int(n.ConsecutiveFailures) >= rule.Failures },
		IsSuccessful: func(err error) bool { return err == nil },
		IsExcluded:   func(err error) bool { return errors.Is(err, errIgnored) },
		OnStateChange: func(name string, from, to gobreaker.State) {
			k.mu.Lock()
			if to == gobreaker.StateOpen {
				k.opened++
				k.until = time.Now().Add(rule.OpenFor)
			}
			k.mu.Unlock()
			switch to {
			case gobreaker.StateOpen:
				b.log.Warn("breaker opened", "capability", name, "open_for", rule.OpenFor, "from", states[from])
			case gobreaker.StateClosed:
				b.log.Info("breaker closed", "capability", name)
			default:
				b.log.Debug("breaker tries one call", "capability", name)
			}
		},
	})
	b.named[name] = k
	return k
}

// states are the wire names of breaker states.
var states = map[gobreaker.State]schemas.CircuitState{
	gobreaker.StateClosed: schemas.CircuitClosed, gobreaker.StateOpen: schemas.CircuitOpen, gobreaker.StateHalfOpen: schemas.CircuitHalfOpen,
}

// probeWait is the retry_after of a call that is refused while another one is tried.
const probeWait = time.Second

func (k *breaker) refusal(c *Call, err error) *schemas.Error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if errors.Is(err, gobreaker.ErrTooManyRequests) {
		return refused(schemas.CodeCircuitOpen, probeWait, "%s failed repeatedly, and another call is trying whether it works again", c.Name())
	}
	wait := max(time.Until(k.until), 0) + time.Millisecond // the breaker allows a try just after this time
	why := ""
	if k.last != nil {
		why = " (" + string(k.last.Code) + ")"
	}
	left := schemas.Duration(wait.Round(time.Millisecond))
	return refused(schemas.CodeCircuitOpen, wait, "%s failed repeatedly%s and is not called for another %s", c.Name(), why, left).
		WithHint("wait for retry_after_seconds, or do without the capability; resolve_capability shows its breaker")
}

// State is the state of one capability's breaker with the rule; nil if the rule has no breaker.
func (b *Breakers) State(name string, rule BreakerRule) *schemas.BreakerState {
	if rule.Failures <= 0 {
		return nil
	}
	b.mu.Lock()
	k := b.named[name]
	b.mu.Unlock()
	if k == nil || k.rule != rule {
		return &schemas.BreakerState{Capability: name, State: schemas.CircuitClosed}
	}
	return k.state(name)
}

// Names is the capabilities that have a breaker, in no order.
func (b *Breakers) Names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.named))
}

// Forget drops the breakers of a realm: its next calls start with closed ones.
func (b *Breakers) Forget(realm string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.named, func(name string, _ *breaker) bool { return strings.HasPrefix(name, realm+".") })
}

func (k *breaker) state(name string) *schemas.BreakerState {
	state, counts := k.gate.State(), k.gate.Counts() // before locking k.mu, which OnStateChange locks while the gate is locked
	k.mu.Lock()
	defer k.mu.Unlock()
	s := &schemas.BreakerState{Capability: name, State: states[state], Failures: int(counts.ConsecutiveFailures), Opened: k.opened}
	if state == gobreaker.StateOpen {
		s.RetryAfterSeconds = max(time.Until(k.until), 0).Seconds()
	}
	if state != gobreaker.StateClosed {
		s.LastError = k.last
	}
	return s
}
