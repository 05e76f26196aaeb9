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

// Breakers stop calling a capability whose realm fails again and again, each capability for itself. While one is open,
// calls are refused with circuit_open and the time until the next try; then one call at a time may try, and its success
// closes the breaker. The zero value is not usable.
type Breakers struct {
	log hclog.Logger

	mu    sync.Mutex
	named map[string]*breaker
}

// NewBreakers makes closed breakers that log their changes.
func NewBreakers(log hclog.Logger) *Breakers {
	return &Breakers{log: log, named: map[string]*breaker{}}
}

// breaker is the breaker of one capability.
type breaker struct {
	rule BreakerRule
	gate *gobreaker.TwoStepCircuitBreaker[struct{}]

	mu     sync.Mutex
	opened int            // how often
	until  time.Time      // when a call may try again
	last   *schemas.Error // the last fault
}

// Wrap is the [Wrapper].
func (b *Breakers) Wrap(next Invoker) Invoker {
	return Func(func(ctx context.Context, c *Call) (*Result, error) {
		rule := c.rules().Breaker
		if rule.Failures <= 0 {
			return next.Invoke(ctx, c)
		}
		k := b.of(c.Name(), rule)
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

// The verdicts about a call that a breaker counts; a nil error is an answer.
var (
	errFault   = errors.New("the realm did not answer as one that works")
	errNeither = errors.New("says nothing about the realm")
)

// verdicts by code. What is not listed says nothing about the realm; a call that its caller ended does not either.
var verdicts = map[schemas.Code]error{
	schemas.CodeUnavailable:     errFault,
	schemas.CodeTimeout:         errFault,
	schemas.CodeHeartbeatLost:   errFault,
	schemas.CodeToolError:       nil, // it answered
	schemas.CodeInvalidArgument: nil,
	schemas.CodeNotFound:        nil,
	schemas.CodePayloadTooLarge: nil,
}

func judge(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return errNeither
	}
	e := schemas.AsError(err)
	verdict, known := verdicts[e.Code]
	switch {
	case !known:
		return errNeither
	case e.Code == schemas.CodeToolError && e.Outcome == schemas.Unknown: // an answer that cannot be read
		return errFault
	}
	return verdict
}

// of is the breaker of a capability; another rule makes a new one.
func (b *Breakers) of(name string, rule BreakerRule) *breaker {
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
		IsExcluded:   func(err error) bool { return errors.Is(err, errNeither) },
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
				b.log.Debug("breaker lets one call try", "capability", name)
			}
		},
	})
	b.named[name] = k
	return k
}

// States of a breaker on the wire.
var states = map[gobreaker.State]schemas.CircuitState{
	gobreaker.StateClosed: schemas.CircuitClosed, gobreaker.StateOpen: schemas.CircuitOpen, gobreaker.StateHalfOpen: schemas.CircuitHalfOpen,
}

// probeWait is how long whoever comes while another call tries should stay away.
const probeWait = time.Second

func (k *breaker) refusal(c *Call, err error) *schemas.Error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if errors.Is(err, gobreaker.ErrTooManyRequests) {
		return refused(schemas.CodeCircuitOpen, probeWait, "%s kept failing, and one call is just trying whether it works again", c.Name())
	}
	wait := max(time.Until(k.until), 0) + time.Millisecond // it opens behind its time, not at it
	why := ""
	if k.last != nil {
		why = " (" + string(k.last.Code) + ")"
	}
	return refused(schemas.CodeCircuitOpen, wait, "%s failed again and again%s and is not called for %s more", c.Name(), why, schemas.Duration(wait.Round(time.Millisecond))).
		WithHint("wait for retry_after_seconds, or do without it; resolve_capability shows its breaker")
}

// State is the state of one capability's breaker under its rule; nil where the rule is that there is none.
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

// Names are the capabilities whose breaker a call has passed, in no order.
func (b *Breakers) Names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Keys(b.named))
}

// Forget drops the breakers of a realm: its next calls begin with closed ones.
func (b *Breakers) Forget(realm string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.named, func(name string, _ *breaker) bool { return strings.HasPrefix(name, realm+".") })
}

func (k *breaker) state(name string) *schemas.BreakerState {
	state, counts := k.gate.State(), k.gate.Counts() // before k.mu: a change of state takes it within the gate's own
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
