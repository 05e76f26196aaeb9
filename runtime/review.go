package runtime

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// reviewID names a review: the execution and the unit it holds.
func reviewID(execution, unit string) string { return execution + "/" + unit }

// Reviews lists the caller's open reviews, the oldest execution first, with what exactly will run.
func (r *Runtime) Reviews(ctx context.Context) ([]schemas.ReviewRequest, error) {
	out := []schemas.ReviewRequest{}
	for after := ""; ; {
		records, err := r.store.List(ctx, store.Query{Kind: kindExecution, Term: termReview, After: after, Limit: maxList})
		if err != nil {
			return nil, storeError(err)
		}
		for _, rec := range records {
			after = rec.Key.ID
			x, err := r.loadFor(ctx, rec.Key.ID)
			if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) {
				continue // somebody else's, or gone meanwhile
			}
			if err != nil {
				return nil, err
			}
			for unit := range x.state.Units {
				if u := &x.state.Units[unit]; u.Status == schemas.NodeHeld && u.Reason == schemas.ReasonReview {
					out = append(out, r.reviewOf(ctx, x, unit))
				}
			}
		}
		if len(records) < maxList {
			return out, nil
		}
	}
}

func (r *Runtime) reviewOf(ctx context.Context, x *execution, unit int) schemas.ReviewRequest {
	u, n := &x.state.Units[unit], x.state.Node(unit)
	v := schemas.ReviewRequest{
		ReviewID: reviewID(x.id, x.state.Name(unit)), ExecutionID: x.id, Name: x.head.Name, NodeID: n.ID, Question: u.Question, Since: u.Since,
	}
	if x.state.IsItem(unit) {
		v.Item = new(u.Item)
	}
	if !u.Due.IsZero() {
		v.ExpiresAt = new(u.Due)
	}
	if target := x.state.Target(unit); target != nil {
		v.Capability = target.Name()
		t := &turn{r: r, x: x, ctx: ctx}
		if inputs, err := t.bind(target, patchedInputs(u), t.scope(unit)); err == nil {
			v.Inputs = schemas.Object(inputs)
		}
	}
	return v
}

// Decision is what a person says to a review.
type Decision struct {
	Approve bool
	Comment string
	Inputs  schemas.Object // for a call: run with these instead
	By      string
}

// DecideReview lets a held node go on, or fails it with code denied. A review is decided once.
func (r *Runtime) DecideReview(ctx context.Context, id string, d Decision) (schemas.Execution, error) {
	execution, name, ok := strings.Cut(id, "/")
	if !ok {
		return schemas.Execution{}, noReview(id)
	}
	return r.change(ctx, execution, func(s *machine.State, now time.Time) ([]schemas.Event, error) {
		unit, ok := unitNamed(s, name)
		if !ok {
			return nil, noReview(id)
		}
		u := &s.Units[unit]
		if d.Approve && u.Reason == schemas.ReasonReview && !u.Due.IsZero() && !now.Before(u.Due) {
			return nil, schemas.Errorf(schemas.CodeConflict, "review %q expired at %s", id, u.Due.Format(time.RFC3339)).
				WithHint("a review without a decision counts as rejected; rerun_execution asks again")
		}
		if u.Status != schemas.NodeHeld || u.Reason != schemas.ReasonReview {
			return nil, schemas.Errorf(schemas.CodeConflict, "review %q is not open: node %q is %s", id, name, u.Status).WithHint("a review is decided once")
		}
		e := s.Event(schemas.EventReviewDecided, unit)
		e.Name, e.Reason, e.By = machine.Approve, d.Comment, d.By
		target := s.Target(unit)
		switch {
		case !d.Approve:
			e.Name = machine.Reject
			e.Error = schemas.Errorf(schemas.CodeDenied, "%s rejected it%s", d.By, because(d.Comment)).WithOutcome(schemas.NotRun)
		case s.Node(unit).Kind == plan.KindReview:
			if len(d.Inputs) > 0 {
				return nil, schemas.Errorf(schemas.CodeInvalidArgument, "this review asks a question; inputs are for the review of a call").WithField("inputs")
			}
			out, err := schemas.Encode(map[string]string{"decision": machine.Approve, "comment": d.Comment, "by": d.By})
			if err != nil {
				return nil, fmt.Errorf("encode decision: %w", err)
			}
			e.Output = out
		case len(d.Inputs) > 0:
			if problem := target.CheckInputs([]byte(d.Inputs)); problem != nil {
				return nil, problem.WithField("inputs")
			}
			e.Data = schemas.Value(d.Inputs)
		}
		return []schemas.Event{e}, nil
	})
}

func because(comment string) string {
	if comment == "" {
		return ""
	}
	return ": " + comment
}

func noReview(id string) *schemas.Error {
	return schemas.Errorf(schemas.CodeNotFound, "no review %q", id).WithField("review_id").WithHint("`runplane reviews` lists the open ones")
}
