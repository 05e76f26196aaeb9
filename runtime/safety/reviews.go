package safety

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/runplane/runplane/runtime/engine"
	"github.com/runplane/runplane/runtime/journal"
	"github.com/runplane/runplane/runtime/machine"
	"github.com/runplane/runplane/runtime/plan"
	"github.com/runplane/runplane/runtime/records"
	"github.com/runplane/runplane/schemas"
	"github.com/runplane/runplane/store"
)

// question is a parsed review id, see journal.ReviewID.
type question struct {
	id, execution, unit string
	asked               int64
}

func parseReviewID(id string) (question, bool) {
	q := question{id: id}
	var rest, number string
	var ok bool
	q.execution, rest, _ = strings.Cut(id, "/")
	q.unit, number, ok = strings.Cut(rest, "/")
	asked, err := strconv.ParseInt(number, 10, 64)
	q.asked = asked
	return q, ok && err == nil && asked > 0 && strconv.FormatInt(asked, 10) == number
}

// Config configures Safety. Every field is required.
type Config struct {
	Store      *records.Store
	Journal    *journal.Journal
	Executions *engine.Engine
}

// Safety implements the contract Safety.
type Safety struct {
	store      *records.Store
	journal    *journal.Journal
	executions *engine.Engine
}

// New returns Safety.
func New(c Config) *Safety {
	return &Safety{store: c.Store, journal: c.Journal, executions: c.Executions}
}

// Reviews lists the caller's open reviews, those of the oldest execution first, with the calls that approval would run. Those of an execution
// that is too large to be read come without the calls.
func (s *Safety) Reviews(ctx context.Context) ([]schemas.ReviewRequest, error) {
	out := []schemas.ReviewRequest{}
	err := s.store.Each(ctx, store.Query{Kind: journal.KindExecution, Term: journal.TermReview}, func(rec store.Record) error {
		x, err := s.journal.LoadFor(ctx, rec.Key.ID)
		if errors.Is(err, &schemas.Error{Code: schemas.CodeNotFound}) || errors.Is(err, journal.ErrUnread) {
			return nil // of another principal, deleted meanwhile, or not to be read
		}
		if errors.Is(err, &schemas.Error{Code: schemas.CodePayloadTooLarge}) {
			unread, err := s.reviewsUnread(ctx, rec.Key.ID)
			out = append(out, unread...)
			return err
		}
		if err != nil {
			return err
		}
		for unit := range x.State.Units {
			if u := &x.State.Units[unit]; u.Status == schemas.NodeHeld && u.Reason == schemas.ReasonReview {
				out = append(out, s.reviewOf(ctx, x, unit))
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// reviewsUnread returns the open reviews of an execution that is too large to be read, as its head has them: without the calls.
func (s *Safety) reviewsUnread(ctx context.Context, id string) (out []schemas.ReviewRequest, err error) {
	h, err := s.journal.HeadFor(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, w := range h.WaitingFor {
		if w.Reason == schemas.ReasonReview {
			out = append(out, schemas.ReviewRequest{
				ReviewID: w.ReviewID, ExecutionID: id, Name: h.Name, NodeID: w.NodeID, Item: w.Item, Hidden: w.Hidden, Choices: w.Choices, Schema: w.Schema,
				Question: w.Question + " (the execution is too large to show what would be called)", Since: w.Since, ExpiresAt: w.ExpiresAt, MayRunUntil: w.MayRunUntil,
			})
		}
	}
	return out, nil
}

func (s *Safety) reviewOf(ctx context.Context, x *journal.Execution, unit int) schemas.ReviewRequest {
	u, n := &x.State.Units[unit], x.State.Node(unit)
	v := schemas.ReviewRequest{
		ReviewID: journal.ReviewID(x.ID, x.State, unit), ExecutionID: x.ID, Name: x.Head.Name, NodeID: n.ID, Since: u.Since,
		Question: schemas.Visible(u.Question), Hidden: schemas.HasHidden(u.Question),
	}
	if n.Kind == plan.KindReview {
		v.Choices, v.Schema = n.Choices, n.Form
	}
	if x.State.IsItem(unit) {
		v.Item = new(u.Item)
	}
	if !u.Due.IsZero() {
		v.ExpiresAt = new(u.Due)
	}
	if u.MayRunUntil.After(u.Since) {
		v.MayRunUntil = new(u.MayRunUntil)
	}
	if target := x.State.Target(unit); target != nil {
		v.Capability = target.Name()
		if inputs, err := s.journal.Scope(ctx, x, unit).Bind(target); err == nil {
			v.Inputs = schemas.Object(inputs)
			v.Hidden = v.Hidden || schemas.HasHiddenJSON(inputs)
		}
	}
	return v
}

// Decision is a person's decision on a review.
type Decision struct {
	Approve bool           // false: reject
	Choice  string         // one of those of the review; empty: it has none
	Data    schemas.Value  // by the schema of the review; empty: it has none
	Comment string         // optional
	Inputs  schemas.Object // of the call, if it is approved with other inputs; empty: as they are
	By      string         // who decided
}

// Decide lets a held node continue, or fails it with code denied. A review is decided once: for one that was decided, has expired or has
// ended otherwise the error says how, also if there is another review of the same node by then.
func (s *Safety) Decide(ctx context.Context, id string, d Decision) (schemas.Execution, error) {
	q, ok := parseReviewID(id)
	if !ok {
		return schemas.Execution{}, notFound(id)
	}
	e, err := s.executions.DecideFor(ctx, q.execution, func(state *machine.State, now time.Time) ([]schemas.Event, error) {
		unit, ok := journal.UnitNamed(state, q.unit)
		if !ok {
			return nil, notFound(id)
		}
		u := &state.Units[unit]
		if u.Asked != q.asked || !machine.Legal(schemas.EventReviewDecided, state.Status, u.Status) {
			return nil, errNotOpen
		}
		if d.Approve && !u.Due.IsZero() && !now.Before(u.Due) {
			return nil, errExpired(id, u.Due)
		}
		e := state.Event(schemas.EventReviewDecided, unit)
		e.Name, e.Reason, e.By = machine.Approve, d.Comment, d.By
		target := state.Target(unit)
		asks := state.Node(unit).Kind == plan.KindReview
		switch {
		case (!d.Approve || !asks) && (d.Choice != "" || len(d.Data) > 0):
			return nil, schemas.Errorf(schemas.CodeInvalidArgument, "only the approval of a review that asks a question has a choice or data").
				WithHint("say why in the comment")
		case !d.Approve:
			e.Name = machine.Reject
			e.Error = schemas.Errorf(schemas.CodeDenied, "%s rejected it%s", d.By, schemas.Because(d.Comment)).WithOutcome(schemas.NotRun)
		case asks:
			if len(d.Inputs) > 0 {
				return nil, schemas.Errorf(schemas.CodeInvalidArgument, "this review asks a question; inputs are for the review of a call").
					WithField("inputs")
			}
			if problem := state.Node(unit).CheckAnswer(d.Choice, json.RawMessage(d.Data)); problem != nil {
				return nil, problem
			}
			answer := map[string]any{"decision": machine.Approve, "comment": d.Comment, "by": d.By}
			if d.Choice != "" {
				answer["choice"] = d.Choice
			}
			if len(d.Data) > 0 {
				answer["data"] = d.Data
			}
			out, err := schemas.Encode(answer)
			if err != nil {
				return nil, fmt.Errorf("encode decision: %w", err)
			}
			e.Output = out
		case len(d.Inputs) > 0:
			if _, problem := target.Arguments([]byte(d.Inputs)); problem != nil {
				return nil, problem.WithField("inputs")
			}
			e.Data = schemas.Value(d.Inputs)
		}
		return []schemas.Event{e}, nil
	})
	if errors.Is(err, errNotOpen) {
		err = s.explainClosed(ctx, q)
	}
	return e, err
}

// errNotOpen means that the unit is not held for this question now.
var errNotOpen = errors.New("the review is not open")

func errExpired(id string, at time.Time) *schemas.Error {
	return schemas.Errorf(schemas.CodeConflict, "review %q expired at %s", id, at.Format(time.RFC3339)).
		WithHint("a review without a decision counts as rejected; rerun_execution asks again")
}

// explainClosed returns the error that says how a review that is not open ended, as the log has it.
func (s *Safety) explainClosed(ctx context.Context, q question) error {
	x, err := s.journal.LoadFor(ctx, q.execution)
	if err != nil {
		return err
	}
	var asked *schemas.Event
	for after := q.asked - 1; ; {
		entries, err := s.store.Log(ctx, journal.ExecutionKey(q.execution), after, 0)
		if err != nil {
			return records.StoreError(err)
		}
		for _, entry := range entries {
			after = entry.Seq
			var e schemas.Event
			if err := json.Unmarshal(entry.Value, &e); err != nil {
				return fmt.Errorf("read event %d of %s: %w", entry.Seq, q.execution, err)
			}
			switch unit, ok := x.State.Unit(e.Node, e.Item); {
			case asked == nil:
				if e.Type != schemas.EventNodeHeld || e.Reason != schemas.ReasonReview || !ok || x.State.Name(unit) != q.unit {
					return notFound(q.id)
				}
				asked = &e
			case e.Node != "" && ok && x.State.Name(unit) == q.unit:
				return endedBy(q, asked, &e)
			}
		}
		if len(entries) == 0 {
			break
		}
	}
	if asked == nil {
		return notFound(q.id)
	}
	return engine.NotAllowed("decide a review of", q.execution, x.State.Status)
}

// endedBy returns the error of a review that e ended: the first event about its unit after asked.
func endedBy(q question, asked, e *schemas.Event) *schemas.Error {
	const hint = "a review is decided once; get_execution_status shows what the execution waits for now, `runplane reviews` lists open reviews"
	switch {
	case e.Type == schemas.EventReviewDecided:
		verb := map[string]string{machine.Approve: "approved", machine.Reject: "rejected"}[e.Name]
		return schemas.Errorf(schemas.CodeAlreadyFinished, "review %q is not open: %s %s it at %s%s",
			q.id, cmp.Or(e.By, "a person"), verb, e.At.Format(time.RFC3339), schemas.Because(e.Reason)).WithHint(hint)
	case e.Type == schemas.EventNodeFailed && asked.Due != nil && !e.At.Before(*asked.Due):
		return errExpired(q.id, *asked.Due)
	}
	return schemas.Errorf(schemas.CodeConflict, "review %q is not open: %s ended it at %s", q.id, e.Type, e.At.Format(time.RFC3339)).
		WithHint(hint)
}

func notFound(id string) *schemas.Error {
	return schemas.Errorf(schemas.CodeNotFound, "no review %q", id).WithField("review_id").WithHint("`runplane reviews` lists open reviews")
}
