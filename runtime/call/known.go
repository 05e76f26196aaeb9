package call

import "github.com/runplane/runplane/schemas"

// Known is a failure of the realm that an earlier call has met: this one tried nothing, so that it says nothing new of the realm, and
// no breaker counts it. An Invoker returns it for instance while it waits before it connects again.
type Known struct{ Failure *schemas.Error }

func (k Known) Error() string { return k.Failure.Error() }

// Unwrap makes the failure the *schemas.Error of the chain.
func (k Known) Unwrap() error { return k.Failure }
