package caller

import "context"

// Caller identifies who makes a request. It travels in the context.
type Caller struct {
	Principal string // owner of what the request makes, and of what it may see; LocalPrincipal without authentication
}

// LocalPrincipal owns everything on a runtime without authentication.
const LocalPrincipal = "local"

type callerKey struct{}

// With returns a context whose requests are made by c.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// From returns the caller of a request: the one that With set, else LocalPrincipal.
func From(ctx context.Context) Caller {
	if c, ok := ctx.Value(callerKey{}).(Caller); ok {
		return c
	}
	return Caller{Principal: LocalPrincipal}
}
