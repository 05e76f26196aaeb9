package caller

import (
	"context"

	"github.com/runplane/runplane/schemas"
)

// Caller is who asks. It travels in the context.
type Caller struct {
	Principal string // whose executions these are; LocalPrincipal without authentication
}

// LocalPrincipal owns everything on a runtime that knows one user.
const LocalPrincipal = "local"

type callerKey struct{}

// With names who asks in everything done with the context.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From is who asks; the local principal unless somebody else was named.
func From(ctx context.Context) Caller {
	if c, ok := ctx.Value(callerKey{}).(Caller); ok {
		return c
	}
	return Caller{Principal: LocalPrincipal}
}

// MaxHops is how many runtimes may pass a request on to one another. A plan that reaches its own runtime through a realm
// would otherwise start itself for ever.
const MaxHops = 8

type hopsKey struct{}

// WithHops says how many runtimes a request has passed on its way to this one; calls made with ctx carry one more. It lets a plan
// that reaches its own runtime through a realm be stopped.
func WithHops(ctx context.Context, hops int) context.Context {
	return context.WithValue(ctx, hopsKey{}, hops)
}

// Hops is what WithHops said, 0 without it.
func Hops(ctx context.Context) int {
	hops, _ := ctx.Value(hopsKey{}).(int)
	return hops
}

// CheckHops refuses a request that passed too many runtimes.
func CheckHops(ctx context.Context) error {
	if hops := Hops(ctx); hops > MaxHops {
		return schemas.Errorf(schemas.CodeDenied, "this request passed %d runtimes, one behind the other; at most %d may", hops, MaxHops).
			WithHint("a realm of this runtime leads back to it: take it out of the plan, or out of mcpServers").WithOutcome(schemas.NotRun)
	}
	return nil
}
