package caller

import "context"

type originKey struct{}

// WithOrigin sets the execution whose call a request is, as the request says. It may be of another runtime, and any client can say anything.
func WithOrigin(ctx context.Context, execution string) context.Context {
	return context.WithValue(ctx, originKey{}, execution)
}

// Origin returns the execution that WithOrigin set; empty: none.
func Origin(ctx context.Context) string {
	id, _ := ctx.Value(originKey{}).(string)
	return id
}
