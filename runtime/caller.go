package runtime

import "context"

// Caller is who asks. It travels in the context.
type Caller struct {
	Principal string // whose executions these are; LocalPrincipal without authentication
}

// LocalPrincipal owns everything on a runtime that knows one user.
const LocalPrincipal = "local"

type callerKey struct{}

// WithCaller names who asks in everything done with the context.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom is who asks; the local principal unless somebody else was named.
func CallerFrom(ctx context.Context) Caller {
	if c, ok := ctx.Value(callerKey{}).(Caller); ok {
		return c
	}
	return Caller{Principal: LocalPrincipal}
}
