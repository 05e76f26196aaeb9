package caller_test

import (
	"errors"
	"testing"

	"github.com/runplane/runplane/runtime/caller"
	"github.com/runplane/runplane/schemas"
)

func TestCallerIsLocalUnlessNamed(t *testing.T) {
	ctx := t.Context()
	if got := caller.From(ctx).Principal; got != caller.LocalPrincipal {
		t.Errorf("got %q", got)
	}
	ada := caller.With(ctx, caller.Caller{Principal: "ada"})
	if got := caller.From(caller.With(ada, caller.Caller{Principal: "bob"})).Principal; got != "bob" {
		t.Errorf("the innermost is %q", got)
	}
	if got := caller.From(caller.WithHops(ada, 3)).Principal; got != "ada" {
		t.Errorf("with hops it is %q", got)
	}
}

func TestRequestsPassSoManyRuntimesAndNoMore(t *testing.T) {
	for hops, refused := range map[int]bool{0: false, 1: false, caller.MaxHops: false, caller.MaxHops + 1: true} {
		ctx := t.Context()
		if hops > 0 {
			ctx = caller.WithHops(ctx, hops)
		}
		err := caller.CheckHops(ctx)
		if (err != nil) != refused || caller.Hops(ctx) != hops {
			t.Errorf("%d hops: %v", hops, err)
		}
		if e := schemas.AsError(err); refused && (!errors.Is(err, &schemas.Error{Code: schemas.CodeDenied}) || e.Outcome != schemas.NotRun || e.Hint == "") {
			t.Errorf("%d hops: %+v", hops, e)
		}
	}
}
