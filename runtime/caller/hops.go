package caller

import (
	"context"

	"github.com/runplane/runplane/schemas"
)

// MaxHops is how many runtimes may pass a request on to one another. A plan that reaches its own runtime through a realm
// would otherwise start itself forever.
const MaxHops = 8

type hopsKey struct{}

// WithHops sets how many runtimes passed a request on before this one; calls made with the returned context carry one more.
func WithHops(ctx context.Context, hops int) context.Context {
	return context.WithValue(ctx, hopsKey{}, hops)
}

// Hops returns the number that WithHops set, 0 without it.
func Hops(ctx context.Context) int {
	hops, _ := ctx.Value(hopsKey{}).(int)
	return hops
}

// CheckHops returns an error with code denied if more than MaxHops runtimes passed the request on, and with code invalid_argument if their
// number is negative, which no runtime sends.
func CheckHops(ctx context.Context) error {
	hops := Hops(ctx)
	if hops < 0 {
		return schemas.Errorf(schemas.CodeInvalidArgument, "the number of runtimes that passed this request on is %d; it must be at least 0", hops).
			WithHint("leave _meta field runplane/hops out").WithOutcome(schemas.NotRun)
	}
	if hops > MaxHops {
		return schemas.Errorf(schemas.CodeDenied, "this request was passed on by %d runtimes in a row (limit %d)", hops, MaxHops).
			WithHint("a realm of this runtime leads back to it: take it out of the plan, or out of mcpServers").WithOutcome(schemas.NotRun)
	}
	return nil
}
