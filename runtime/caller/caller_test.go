package caller_test

import (
	"math"
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
	for hops, code := range map[int]schemas.Code{
		0: "", 1: "", caller.MaxHops: "", caller.MaxHops + 1: schemas.CodeDenied, -1: schemas.CodeInvalidArgument, math.MinInt: schemas.CodeInvalidArgument,
	} {
		ctx := t.Context()
		if hops != 0 {
			ctx = caller.WithHops(ctx, hops)
		}
		err := caller.CheckHops(ctx)
		if (err != nil) != (code != "") || caller.Hops(ctx) != hops {
			t.Errorf("%d hops: %v", hops, err)
		}
		if e := schemas.AsError(err); code != "" && (e.Code != code || e.Outcome != schemas.NotRun || e.Hint == "") {
			t.Errorf("%d hops: %+v", hops, e)
		}
	}
}
